/* SPDX-License-Identifier: Apache-2.0
 *
 * Courses over the last ten minutes as SVG: charts with axes and a key, and small ones for tables. Each says in words
 * what it shows, for those who do not see it.
 */
import {make, setText} from "./dom.js";
import {clock} from "./format.js";
import {SPAN_MS} from "./series.js";

const WIDTH = 600,
    HEIGHT = 120,
    SPARK_WIDTH = 120,
    SPARK_HEIGHT = 20;
const GAP_MS = 90_000; // a background tab is asked once a minute: a longer silence is a gap
const HEADROOM = 1.05; // a line along the upper edge would not be seen
const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

function svg(tag, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
}

/* The least round number that is no less. */
export function roundUp(value) {
    if (!(value > 0)) return 1;
    const power = 10 ** Math.floor(Math.log10(value));
    return STEPS.find(step => step * power >= value * 0.9999) * power;
}

/* The points of one line as [[x, y], ...] for each stretch without a gap; a value of null ends one. */
function stretches(points, value, frame) {
    const out = [];
    let run = [],
        last = null;
    for (const point of points) {
        const y = value(point);
        if (y === null || (last !== null && point.at - last > GAP_MS)) {
            if (run.length) out.push(run);
            run = [];
        }
        last = point.at;
        if (y !== null)
            run.push([
                ((point.at - frame.from) / SPAN_MS) * frame.width,
                frame.height * (1 - Math.min(y / frame.top, 1)),
            ]);
    }
    if (run.length) out.push(run);
    return out;
}

/* A stretch of one point is a short dash, or it would not be seen. */
function pathOf(lines) {
    return lines
        .map(run => {
            const places = run.length > 1 ? run : [run[0], [run[0][0] + 1, run[0][1]]];
            return "M" + places.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
        })
        .join("");
}

function areaOf(lines, height) {
    return lines
        .map(
            run =>
                `${pathOf([run])}L${run[run.length - 1][0].toFixed(1)} ${height}L${run[0][0].toFixed(1)} ${height}Z`,
        )
        .join("");
}

/* lines: {name, value(point), kind ("p50", "p95", "p99"), area?}; format(value) gives a text; `least` is what the axis
 * spans at least. */
export class Chart {
    constructor({title, lines, format, least}) {
        Object.assign(this, {title, lines, format, least});
        this.picture = svg("svg", {
            viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
            preserveAspectRatio: "none",
            role: "img",
        });
        for (const share of [0.25, 0.5, 0.75])
            this.picture.append(svg("path", {class: "mesh", d: `M0 ${HEIGHT * share}H${WIDTH}`}));
        this.marks = svg("path", {class: "mark", d: ""});
        this.picture.append(this.marks);
        this.curves = lines.map(line => this.addLine(line));
        this.top = make("span", {class: "top-mark", "aria-hidden": "true"});
        this.now = lines.map(() => make("span", {class: "now"}));
        this.when = make("span", {class: "quiet"});
        this.build();
        this.follow();
    }

    addLine(line) {
        const area = line.area ? svg("path", {class: "area", d: ""}) : null;
        const curve = svg("path", {class: `curve ${line.kind}`, d: ""});
        if (area) this.picture.append(area);
        this.picture.append(curve);
        return {area, curve};
    }

    build() {
        const keys = this.lines.map((line, i) =>
            make(
                "span",
                {},
                make("span", {class: `key ${line.kind}`, "aria-hidden": "true"}),
                line.name ? `${line.name} ` : "",
                this.now[i],
            ),
        );
        this.element = make(
            "figure",
            {class: "chart"},
            make("figcaption", {}, make("span", {class: "title"}, this.title), ...keys, this.when),
            make(
                "div",
                {class: "plot"},
                this.picture,
                this.top,
                make("span", {class: "low-mark", "aria-hidden": "true"}, "0"),
            ),
            make(
                "div",
                {class: "axis", "aria-hidden": "true"},
                make("span", {}, "10 min ago"),
                make("span", {}, "5 min"),
                make("span", {}, "now"),
            ),
        );
    }

    /* What was at the pointer stands in place of what is now. */
    follow() {
        this.picture.addEventListener("pointermove", event => {
            const box = this.picture.getBoundingClientRect();
            this.pointed = (event.clientX - box.left) / box.width;
            this.tell();
        });
        this.picture.addEventListener("pointerleave", () => {
            this.pointed = null;
            this.tell();
        });
    }

    /* `marks` are times at which something was changed. */
    update(points, at, marks = []) {
        this.points = points;
        this.from = at - SPAN_MS;
        const values = points.flatMap(point =>
            this.lines.map(line => line.value(point)).filter(v => v !== null),
        );
        this.most = Math.max(0, ...values);
        const top = roundUp(Math.max(this.most * HEADROOM, this.least));
        const frame = {from: this.from, width: WIDTH, height: HEIGHT, top};
        this.lines.forEach((line, i) => {
            const lines = stretches(points, line.value, frame);
            this.curves[i].curve.setAttribute("d", pathOf(lines));
            if (this.curves[i].area) this.curves[i].area.setAttribute("d", areaOf(lines, HEIGHT));
        });
        this.marks.setAttribute(
            "d",
            marks
                .filter(mark => mark > this.from)
                .map(mark => `M${(((mark - this.from) / SPAN_MS) * WIDTH).toFixed(1)} 0V${HEIGHT}`)
                .join(""),
        );
        setText(this.top, this.format(top));
        this.tell();
    }

    tell() {
        if (!this.points) return;
        const last = this.points[this.points.length - 1];
        const asked = this.pointed ?? null;
        const at = this.from + (asked ?? 1) * SPAN_MS;
        const point =
            asked === null
                ? last
                : this.points.reduce(
                      (best, each) =>
                          !best || Math.abs(each.at - at) < Math.abs(best.at - at) ? each : best,
                      null,
                  );
        const texts = this.lines.map(line =>
            point && line.value(point) !== null ? this.format(line.value(point)) : "-",
        );
        texts.forEach((text, i) => setText(this.now[i], text));
        setText(this.when, asked !== null && point ? `at ${clock(point.at)}` : "");
        const words = this.lines
            .map((line, i) => `${line.name ? `${line.name} ` : ""}${texts[i]}`)
            .join(", ");
        this.picture.setAttribute(
            "aria-label",
            `${this.title} over the last 10 minutes: ${words} now, at most ${this.format(this.most)}`,
        );
    }
}

/* A small course of rates for a table's row: {element, update(points, at)}. */
export function spark(title) {
    const curve = svg("path", {class: "curve p50", d: ""});
    const element = svg("svg", {
        class: "spark",
        viewBox: `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": title,
    });
    element.append(curve);
    return {
        element,
        update(points, at) {
            const most = Math.max(0, ...points.map(point => point.rate));
            const frame = {
                from: at - SPAN_MS,
                width: SPARK_WIDTH,
                height: SPARK_HEIGHT - 1,
                top: Math.max(most * 1.1, 0.1),
            };
            curve.setAttribute("d", pathOf(stretches(points, point => point.rate, frame)));
            const last = points.length ? points[points.length - 1].rate : 0;
            element.setAttribute(
                "aria-label",
                `${title} over the last 10 minutes: ${last.toFixed(1)} a second now, at most ${most.toFixed(1)}`,
            );
        },
    };
}
