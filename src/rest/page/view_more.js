/* SPDX-License-Identifier: Apache-2.0
 *
 * Events as they happen, why a request went where it went, and the configuration with what has changed in it.
 */
import * as actions from "./actions.js";
import {ask, problemOf} from "./api.js";
import {act} from "./dialog.js";
import {byId, keepChildren, make, setHidden, setText, Table} from "./dom.js";
import {clock, count, day, plural} from "./format.js";

const EVENTS_SHOWN = 60;
const DIFF_LINES = 2000,
    DIFF_CELLS = 1_000_000,
    CONTEXT = 3;

/* --- events */

/* An event in words: its kind says what its numbers mean. */
function wordsOf({kind, data}) {
    const rest = (...left) =>
        Object.entries(data)
            .filter(([key]) => !left.includes(key))
            .map(
                ([key, value]) =>
                    `${key.replaceAll("_", " ")} ${typeof value === "object" && value ? JSON.stringify(value) : value}`,
            )
            .join(", ");
    switch (kind) {
        case "health":
            return `${data.target} of ${data.service} is ${data.state}: ${data.reason}`;
        case "config":
            return `configuration: ${data.result}, generation ${data.generation}`;
        case "mode":
            return `${data.service} is ${data.mode} since generation ${data.generation}`;
        case "split":
            return `${data.service} is split ${Object.entries(data.split || {})
                .map(([id, share]) => `${id} ${share}`)
                .join(", ")}`;
        case "limit":
            return `rate limits: ${data.shared === "degraded" ? "each gateway's own" : "shared"}${data.reason ? ` (${data.reason})` : ""}`;
        case "shield":
            return `the shield is ${data.on ? "up" : "down"}${data.why ? ` (${data.why})` : ""}`;
        default:
            return `${data.service ? `${data.service}: ` : ""}${rest("service")}`;
    }
}

export class EventsView {
    constructor(store) {
        this.store = store;
        this.table = new Table("The newest first", [
            {title: "Time", text: row => clock(row.at)},
            {title: "Kind", text: row => row.kind},
            {title: "What", words: true, text: wordsOf},
        ]);
        byId("event-list").append(this.table.element);
    }

    update() {
        const {events, isFollowing, edge} = this.store;
        const shown = events.slice(-EVENTS_SHOWN).reverse();
        setText(
            byId("events-state"),
            !edge
                ? "Control tells no events of its own: see an edge's page."
                : !isFollowing
                  ? "Not connected: events of this time are missed."
                  : shown.length
                    ? ""
                    : "Nothing has happened since this page was opened.",
        );
        setHidden(byId("events-state"), !byId("events-state").textContent);
        this.table.update(
            shown,
            events.length > shown.length ? `${count(shown.length)} of ${count(events.length)}` : "",
        );
    }
}

/* --- why */

const pairs = list =>
    make(
        "dl",
        {class: "facts-list"},
        ...list
            .filter(([, value]) => value !== null && value !== undefined && value !== "")
            .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
    );

function listOf(title, items) {
    return items.length
        ? make(
              "div",
              {},
              make("h3", {}, title),
              make("ul", {class: "plain"}, ...items.map(text => make("li", {}, text))),
          )
        : null;
}

/* What a filter says beside its name and verdict. */
function filterWords(filter) {
    const more = Object.entries(filter)
        .filter(([key]) => key !== "name" && key !== "verdict")
        .map(([key, value]) => `${key} ${typeof value === "object" ? JSON.stringify(value) : value}`);
    return `${filter.name}: ${filter.verdict}${more.length ? ` (${more.join(", ")})` : ""}`;
}

function explain(why) {
    const steps = new Table("Time of each step", [
        {title: "Step", text: row => row.key},
        {title: "ms", num: true, text: row => row.ms.toFixed(3)},
    ]);
    steps.update(Object.entries(why.steps_ms || {}).map(([key, ms]) => ({key, ms})));
    return [
        pairs([
            ["Request", `${why.method} ${why.scheme}://${why.host}${why.path}`],
            ["From", `${why.client}${why.peer ? `, as ${why.peer} says` : ""}`],
            ["When", why.time_ms ? `${day(why.time_ms)}, ${clock(why.time_ms)}` : null],
            ["Answer", `${why.status}${why.reason ? ` ${why.reason}: ${why.words}` : ""}`],
            ["Route", why.route],
            [
                "Service",
                why.service
                    ? `${why.service}${why.release ? `, release ${why.release}${why.release_by ? ` (${why.release_by})` : ""}` : ""}`
                    : null,
            ],
            ["Target", why.target ? `${why.target}, ${plural(why.attempts, "attempt", "attempts")}` : null],
            [
                "Waited for a start",
                why.wake
                    ? `${why.wake.waited_ms} ms${why.wake.refused ? `, ${why.wake.refused}` : ""}`
                    : null,
            ],
            ["Generation", why.generation],
        ]),
        listOf(
            "Routes that were looked at",
            (why.routes || []).map(
                route => `${route.fits ? "fits" : "does not fit"}: ${route.name}, ${route.why}`,
            ),
        ),
        listOf("Filters", (why.filters || []).map(filterWords)),
        listOf(
            "Tries",
            (why.tries || []).map((each, i) => `${i + 1}: ${each.target}, ${each.outcome}`),
        ),
        listOf(
            "Targets",
            (why.targets || [])
                .slice(0, 50)
                .map(
                    target =>
                        `${target.chosen ? "chosen" : "not chosen"}: ${target.id}, ${target.state}, tier ${target.tier}, load ${target.load}`,
                ),
        ),
        steps.element,
    ].filter(Boolean);
}

export class WhyView {
    constructor() {
        byId("why-form").addEventListener("submit", event => {
            event.preventDefault();
            const id = byId("why-id").value.trim();
            if (id) this.ask(id);
        });
        addEventListener("hashchange", () => this.follow());
        this.follow();
    }

    /* A link to #why=ID, as logs and other dashboards may hold one, asks by itself. */
    follow() {
        const match = /^#why=(.+)$/.exec(location.hash);
        if (!match) return;
        byId("why-id").value = decodeURIComponent(match[1]);
        byId("why").scrollIntoView();
        this.ask(byId("why-id").value);
    }

    /* Nothing of it changes by itself. */
    update() {}

    async ask(id) {
        const place = byId("why-answer");
        try {
            const answer = await ask(`/api/v1/requests/${encodeURIComponent(id)}`);
            place.replaceChildren(
                ...(answer.status === 200 && answer.json
                    ? explain(answer.json)
                    : [make("p", {class: "notice warn lines"}, problemOf(answer))]),
            );
        } catch {
            place.replaceChildren(make("p", {class: "notice bad"}, "The gateway did not answer."));
        }
    }
}

/* --- the configuration */

/* Lines as [" " | "-" | "+", text]: a longest common subsequence of what lies between equal ends; null: too much has
 * changed to be compared in a moment. */
export function compareLines(before, after) {
    let head = 0,
        tail = 0;
    while (head < before.length && head < after.length && before[head] === after[head]) head++;
    while (
        tail < before.length - head &&
        tail < after.length - head &&
        before[before.length - 1 - tail] === after[after.length - 1 - tail]
    )
        tail++;
    const old = before.slice(head, before.length - tail),
        fresh = after.slice(head, after.length - tail);
    if (old.length > DIFF_LINES || fresh.length > DIFF_LINES || old.length * fresh.length > DIFF_CELLS)
        return null;
    const width = fresh.length + 1,
        common = new Uint16Array((old.length + 1) * width);
    for (let i = old.length - 1; i >= 0; i--)
        for (let k = fresh.length - 1; k >= 0; k--)
            common[i * width + k] =
                old[i] === fresh[k]
                    ? common[(i + 1) * width + k + 1] + 1
                    : Math.max(common[(i + 1) * width + k], common[i * width + k + 1]);
    const lines = before.slice(0, head).map(text => [" ", text]);
    for (let i = 0, k = 0; i < old.length || k < fresh.length; ) {
        if (i < old.length && k < fresh.length && old[i] === fresh[k]) lines.push([" ", old[i++], k++]);
        else if (
            k >= fresh.length ||
            (i < old.length && common[(i + 1) * width + k] >= common[i * width + k + 1])
        )
            lines.push(["-", old[i++]]);
        else lines.push(["+", fresh[k++]]);
    }
    return lines.concat(before.slice(before.length - tail).map(text => [" ", text]));
}

/* Only what has changed, with a few lines around it. */
function excerpt(lines) {
    const near = lines.map((_, i) =>
        lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some(line => line[0] !== " "),
    );
    const out = [];
    lines.forEach((line, i) => {
        if (near[i]) out.push(line);
        else if (i && near[i - 1]) out.push([" ", "..."]);
    });
    return out;
}

/* A token, a password or a key that is written out; `${env:...}` is none, nor is the path of a file with a key. */
const SECRET =
    /(\b(?:\w*token|\w*secret|\w*password|key)["']?[ \t]*:[ \t]*)(["']?)(?![\s{["'$/]|\$\{)([^"'\s,}\]]+)\2/gi;
const URL_PASSWORD = /(:\/\/[^\s/@:"']*:)[^\s/@"']+@/g;

function hideSecrets(text) {
    return text
        .replace(SECRET, (all, name, quote, value) =>
            /^key\b/i.test(name) && /[./]/.test(value) ? all : `${name}${quote}********${quote}`,
        )
        .replace(URL_PASSWORD, "$1********@");
}
const LINE_CLASS = {"+": "added", "-": "removed"};

export class ConfigView {
    constructor(store) {
        this.store = store;
        this.kept = new Map();
        this.seen = null; // {generation, text}: what stood there when it was read
        this.before = null; // what stood there until it changed
    }

    /* Takes the file as it is now, and the generation that serves. Whoever may operate is told what is secret in it, which
     * is nothing for a screen that others look at. */
    take(file, generation) {
        const text = hideSecrets(file);
        if (this.seen && this.seen.text !== text) this.before = this.seen;
        if (this.seen && this.seen.text === text && this.seen.generation === generation) return;
        // A file that changes while the generation stays is one that nobody has read yet.
        this.isUnread =
            Boolean(this.seen) &&
            this.seen.generation === generation &&
            (this.seen.text !== text || this.isUnread);
        this.seen = {text, generation};
        setText(byId("config-text"), text);
        this.showDiff();
    }

    showDiff() {
        const place = byId("config-diff");
        if (!this.before || this.before.text === this.seen.text) {
            place.replaceChildren();
            return;
        }
        const lines = compareLines(this.before.text.split("\n"), this.seen.text.split("\n"));
        const title = this.isUnread
            ? `The file has changed since generation ${this.seen.generation} was read: it is not in use until it is reloaded`
            : `What changed from generation ${this.before.generation} to ${this.seen.generation}`;
        place.replaceChildren(
            make("h3", {}, title),
            lines
                ? make(
                      "pre",
                      {class: "diff", tabindex: "0", role: "group", "aria-label": title},
                      ...excerpt(lines).map(([sign, text]) =>
                          make("span", {class: LINE_CLASS[sign] || null}, `${sign} ${text}\n`),
                      ),
                  )
                : make("p", {}, "Too much has changed to be shown line by line."),
        );
    }

    update() {
        const {edge} = this.store;
        const items = [];
        if (this.store.may("operate")) {
            items.push({key: "reload", action: actions.reload});
            if (edge && edge.config.confirm_until_ms) items.push({key: "keep", action: actions.keepConfig});
        }
        keepChildren(byId("config-actions"), items, this.kept, item => ({
            element: make(
                "button",
                {type: "button", onclick: () => act(item.action(), this.store.refresh)},
                item.action().title,
            ),
            update() {},
        }));
        if (edge)
            setText(
                byId("config-facts"),
                `${edge.config.path}, generation ${edge.generation}; the last reload ${edge.config.last_reload.successful ? "succeeded" : "failed"}.`,
            );
        setHidden(byId("config-whole"), !this.seen);
    }
}
