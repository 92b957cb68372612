/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests, errors and latency: of all, by route and by release; and what is left of error budgets.
 */
import {Chart, spark} from "./chart.js";
import {byId, keepChildren, make, setClass, setHidden, setText, Table} from "./dom.js";
import {bytes, count, latency, percent, plural, rate, span} from "./format.js";

const ROUTES_SHOWN = 20;

const errorTone = row => (row.requests && row.share >= 0.05 ? "bad" : row.share >= 0.01 ? "warn" : "");

/* The columns that routes and releases have in common. */
const columns = kind => [
    {title: "Requests/s", num: true, text: row => rate(row.rate)},
    {
        title: kind === "route" ? "5xx" : "Failed",
        num: true,
        text: row => (row.requests ? percent(row.share) : "-"),
        tone: errorTone,
    },
    {title: "p50", num: true, wide: true, text: row => latency(row.p50)},
    {title: "p95", num: true, text: row => latency(row.p95)},
    {title: "p99", num: true, wide: true, text: row => latency(row.p99)},
];

export class TrafficView {
    constructor(store) {
        this.store = store;
        this.charts = [
            new Chart({
                title: "Requests per second",
                format: rate,
                least: 1,
                lines: [{name: "", kind: "p50", value: point => point.rate, area: true}],
            }),
            new Chart({
                title: "Answers of 5xx",
                format: percent,
                least: 0.01,
                lines: [{name: "", kind: "p99", value: point => point.share}],
            }),
            new Chart({
                title: "Latency",
                format: latency,
                least: 1000,
                lines: ["p50", "p95", "p99"].map(name => ({name, kind: name, value: point => point[name]})),
            }),
        ];
        byId("charts").append(...this.charts.map(chart => chart.element));
        this.buildRoutes();
        this.buildReleases();
        this.budgets = new Table("Error budgets", [
            {title: "Service", text: row => row.service},
            {title: "Objective", text: row => row.words},
            {
                title: "Budget left",
                num: true,
                text: row => percent(Math.max(row.left, 0)),
                tone: row => (row.left <= 0 ? "bad" : row.left < 0.25 ? "warn" : ""),
            },
            {title: "Burns", num: true, wide: true, text: row => row.burn},
            {title: "Requests", num: true, wide: true, text: row => count(row.requests)},
        ]);
        byId("slo").append(this.budgets.element);
    }

    buildRoutes() {
        this.filter = make("input", {
            id: "route-filter",
            type: "search",
            autocomplete: "off",
            spellcheck: "false",
            oninput: () => this.update(),
        });
        this.more = make("button", {
            type: "button",
            class: "small",
            onclick: () => {
                this.isWhole = !this.isWhole;
                this.update();
            },
        });
        this.rest = make("span");
        this.tools = make(
            "div",
            {class: "more", hidden: true},
            make("label", {for: "route-filter"}, "Routes that have in their name"),
            this.filter,
            this.rest,
            this.more,
        );
        this.table = new Table("By route", [
            {title: "Route", text: row => row.name},
            ...columns("route"),
            {
                title: "4xx/s",
                num: true,
                wide: true,
                text: row => rate(row.clientErrors / this.store.series.now.seconds),
            },
            {title: "In flight", num: true, text: row => count(row.in_flight)},
            {title: "Last 10 minutes", wide: true, build: row => this.course("route", row)},
        ]);
        this.empty = make(
            "p",
            {class: "quiet", hidden: true},
            "No request has come since the gateway began.",
        );
        byId("routes").append(this.table.element, this.empty, this.tools);
    }

    buildReleases() {
        this.releases = new Table("By release", [
            {title: "Release", text: row => `${row.service}: ${row.release}`},
            ...columns("release"),
            {title: "Last 10 minutes", wide: true, build: row => this.course("release", row)},
        ]);
        byId("releases").append(this.releases.element);
    }

    course(kind, row) {
        const picture = spark(`Requests of ${row.name || `${row.service} ${row.release}`}`);
        return {
            element: picture.element,
            update: now => picture.update(this.store.series.course(kind, now.key), this.store.series.now.at),
        };
    }

    update() {
        const {series, slo} = this.store;
        const marks = this.store.events
            .filter(event => event.kind === "config" || event.kind === "split" || event.kind === "releases")
            .map(event => event.at);
        const at = series.now ? series.now.at : Date.now();
        this.charts.forEach(chart => chart.update(series.total.points, at, marks));
        this.updateBudgets(slo);
        if (series.now) {
            this.updateRoutes(series.now);
            this.updateReleases(series.now);
        }
    }

    updateRoutes(now) {
        const word = this.filter.value.trim().toLowerCase();
        const fitting = now.routes.filter(route => !word || route.name.toLowerCase().includes(word));
        // Those that fail first, then the busiest; equal ones stay in their order.
        fitting.sort((a, b) => (b.errors > 0) - (a.errors > 0) || b.rate - a.rate || b.all - a.all);
        const shown = this.isWhole ? fitting : fitting.slice(0, ROUTES_SHOWN);
        const unshown = fitting.length - shown.length;
        this.table.update(shown, `of the last ${Math.round(now.seconds)} s`);
        setText(
            this.rest,
            [
                unshown ? `${plural(unshown, "more route is", "more routes are")} not shown.` : "",
                now.routesTotal > now.routes.length
                    ? `The gateway tells of ${count(now.routes.length)} of ${count(now.routesTotal)}.`
                    : "",
                word && !fitting.length ? "No route has that." : "",
            ]
                .filter(Boolean)
                .join(" "),
        );
        setText(this.more, this.isWhole ? "Show fewer" : "Show all");
        setHidden(this.more, !this.isWhole && !unshown);
        setHidden(this.empty, now.routes.length > 0);
        setHidden(this.tools, now.routes.length <= ROUTES_SHOWN && !word);
    }

    updateReleases(now) {
        const rows = now.releases.filter(release => release.all).sort((a, b) => (a.key < b.key ? -1 : 1));
        this.releases.update(
            rows.slice(0, 60),
            rows.length > 60
                ? `the first 60 of ${count(rows.length)}; first tries only`
                : "first tries only: what a deploy is judged by",
        );
    }

    updateBudgets(slo) {
        const rows = Object.entries((slo && slo.services) || {}).flatMap(([service, each]) =>
            each.objectives.map(objective => ({
                key: `${service} ${objective.slo}`,
                service,
                words: `${objective.slo}: ${percent(objective.objective)}${objective.threshold_ms ? ` within ${objective.threshold_ms} ms` : ""} over ${span(each.window_s * 1000)}`,
                left: objective.budget_left,
                burn:
                    Object.entries(objective.burn || {})
                        .map(([window, times]) => `${Number(times).toFixed(1)}x in ${window}`)
                        .join(", ") || "-",
                requests: objective.requests,
            })),
        );
        this.budgets.update(rows);
    }
}

/* --- limits, refusals, certificates and workers */

class Gauge {
    constructor(title) {
        this.words = make("span");
        this.fill = make("span");
        this.bar = make("div", {class: "bar", "aria-hidden": "true"}, this.fill);
        this.element = make(
            "div",
            {class: "gauge"},
            make("p", {}, make("span", {}, title), this.words),
            this.bar,
        );
    }

    update({share, words}) {
        this.fill.style.width = `${Math.min(100, share * 100).toFixed(1)}%`;
        setClass(this.bar, `bar ${share >= 0.95 ? "bad" : share >= 0.8 ? "warn" : ""}`.trim());
        setText(this.words, words);
    }
}

export class LimitsView {
    constructor(store) {
        this.store = store;
        this.gauges = new Map();
        this.refusals = new Table("Refused by the gateway itself", [
            {title: "Reason", text: row => row.key},
            {title: "Each second", num: true, text: row => rate(row.rate)},
            {title: "Since its start", num: true, text: row => count(row.all)},
        ]);
        this.certificates = new Table("Certificates", [
            {title: "For", text: row => row.names},
            {
                title: "Until",
                text: row => row.until,
                tone: row => (row.state === "valid" ? "" : row.state === "expires_soon" ? "warn" : "bad"),
            },
            {title: "From", wide: true, text: row => row.source},
        ]);
        this.workers = new Table("Workers", [
            {title: "Worker", text: row => `${row.index}`},
            {title: "In flight", num: true, text: row => count(row.in_flight)},
            {
                title: "Connections",
                num: true,
                text: row => `${count(row.connections)} of ${count(row.connections_max)}`,
            },
            {title: "Refused", num: true, wide: true, text: row => count(row.refused)},
            {title: "Memory", num: true, wide: true, text: row => bytes(row.memory_bytes)},
            {
                title: "Behind",
                num: true,
                text: row => `${row.lag_ms.toFixed(1)} ms`,
                tone: row => (row.lag_ms > 100 ? "warn" : ""),
            },
        ]);
        byId("refusals").append(this.refusals.element);
        byId("certificates").append(this.certificates.element);
        byId("workers").append(this.workers.element);
    }

    update() {
        const {edge, series} = this.store;
        if (!edge) return;
        this.updateGauges(edge);
        this.updateRefusals(series);
        this.certificates.update(
            edge.certificates.map(one => ({
                key: one.fingerprint + one.name,
                names:
                    one.domains.slice(0, 2).join(", ") +
                    (one.domains.length > 2 ? ` and ${one.domains.length - 2} more` : ""),
                until: `${one.not_after.slice(0, 10)}${one.state === "valid" ? "" : `, ${one.state.replaceAll("_", " ")}`}`,
                state: one.state,
                source: one.source,
            })),
        );
        this.workers.update(edge.workers.map(worker => ({...worker, key: worker.index})));
    }

    updateGauges(edge) {
        const sum = key => edge.workers.reduce((all, worker) => all + worker[key], 0);
        const items = [
            gaugeOf("Connections", sum("connections"), sum("connections_max"), count),
            gaugeOf("Memory of connections and requests", sum("memory_bytes"), edge.limits.memory, bytes),
            {
                key: "Rate limits",
                share: 0,
                words: {
                    off: "each gateway's own",
                    up: "shared by Redis",
                    degraded: "each gateway's own: Redis is away",
                }[edge.rate_limits.shared],
            },
        ];
        for (const service of edge.services)
            if (service.waiting)
                items.push({key: `Waiting for ${service.name}`, share: 0, words: count(service.waiting)});
        keepChildren(byId("gauges"), items.slice(0, 24), this.gauges, item => new Gauge(item.key));
    }

    updateRefusals(series) {
        const answer = series.snapshots[series.snapshots.length - 1];
        const all = {};
        for (const route of answer ? answer.routes : [])
            for (const [reason, number] of Object.entries(route.refused))
                all[reason] = (all[reason] || 0) + number;
        const now = series.now ? series.now.refused : {};
        this.refusals.update(
            Object.entries(all)
                .map(([key, number]) => ({key, all: number, rate: now[key] || 0}))
                .sort((a, b) => b.rate - a.rate || b.all - a.all),
        );
    }
}

function gaugeOf(key, used, most, format) {
    return {
        key,
        share: most ? used / most : 0,
        words: most ? `${format(used)} of ${format(most)}` : format(used),
    };
}
