/* SPDX-License-Identifier: Apache-2.0
 *
 * Deploys that run, with their steps, the counts that the verdict goes by, and what one may say to them; those that are
 * over; services that are scaled; and the edges that control looks after.
 */
import * as actions from "./actions.js";
import {act} from "./dialog.js";
import {byId, keepChildren, make, setClass, setHidden, setText, Table} from "./dom.js";
import {clock, count, day, latency, percent, plural, span} from "./format.js";

const PAST_SHOWN = 10,
    LOG_LINES = 40;
const OUTCOMES = {
    live: ["live", "good"],
    rolled_back: ["rolled back", "warn"],
    aborted: ["aborted", "warn"],
    failed: ["failed", "bad"],
    asks: ["waits for a person", "warn"],
    needs_a_person: ["needs a person", "bad"],
    waits_for_edge: ["waits for an edge", "warn"],
    runs: ["runs", "good"],
};

const seconds = value => (value === null || value === undefined ? "-" : latency(value * 1e6));

/* The verdict, in a sentence. */
function verdictOf(deploy) {
    const verdict = deploy.verdict;
    if (!verdict) return "";
    if (verdict.outcome === "good") return `Verdict: ${deploy.release} is as good as ${deploy.old}.`;
    if (verdict.outcome === "bad") return `Verdict: ${deploy.release} is worse than ${deploy.old}.`;
    return verdict.wanting > 0
        ? `Verdict: not yet; as things go, some ${count(Math.ceil(verdict.wanting))} more requests of ${deploy.release} decide it.`
        : "Verdict: not yet.";
}

/* Both sides of the verdict as rows. */
function sidesOf(deploy) {
    const side = (name, release, share) => {
        const counts = deploy.verdict[name];
        const times = deploy.verdict.latency.map(each => seconds(each[name]));
        return {
            key: name,
            release,
            share: `${+share.toFixed(2)} %`,
            requests: counts.requests,
            failures: counts.failures,
            probes: counts.probes,
            part: counts.requests ? percent(counts.failures / counts.requests) : "-",
            times,
        };
    };
    return deploy.verdict
        ? [side("old", deploy.old, 100 - deploy.percent), side("new", deploy.release, deploy.percent)]
        : [];
}

class DeployPart {
    constructor(view, deploy) {
        this.view = view;
        this.kept = new Map();
        this.badge = make("span");
        this.title = make("h3");
        this.facts = make("p");
        this.steps = make("div", {class: "steps", role: "img"});
        this.verdict = make("p");
        this.waiting = make("p", {class: "tone-warn"});
        this.buttons = make("div", {class: "actions"});
        this.table = new Table(`What deploy ${deploy.id} is judged by, in this step`, [
            {title: "Release", text: row => row.release},
            {title: "Share", num: true, text: row => row.share},
            {title: "Requests", num: true, text: row => count(row.requests)},
            {title: "Failed", num: true, text: row => count(row.failures)},
            {title: "Of them", num: true, wide: true, text: row => row.part},
            {title: "Our own", num: true, wide: true, text: row => count(row.probes)},
            ...["p50", "p90", "p99"].map((name, i) => ({
                title: name,
                num: true,
                wide: i < 2,
                text: row => row.times[i] || "-",
            })),
        ]);
        this.checks = new Table(`Checks of deploy ${deploy.id}`, [
            {title: "Check", text: row => row.name},
            {
                title: "Outcome",
                text: row => row.outcome,
                tone: row => ({good: "good", bad: "bad"})[row.outcome] || "",
            },
            {title: "Why", words: true, text: row => row.why},
        ]);
        this.log = make("pre", {
            class: "log",
            tabindex: "0",
            role: "group",
            "aria-label": `Log of deploy ${deploy.id}`,
        });
        this.element = make(
            "article",
            {class: "deploy", "aria-label": `Deploy ${deploy.id} of ${deploy.service}`},
            make("header", {}, this.title, this.badge),
            this.facts,
            this.steps,
            this.verdict,
            this.table.element,
            this.checks.element,
            this.waiting,
            this.buttons,
            this.log,
        );
    }

    update({deploy}) {
        const [word, tone] = OUTCOMES[deploy.outcome] || [deploy.outcome, ""];
        this.deploy = deploy;
        setText(this.title, `${deploy.service}: ${deploy.old || "nothing"} to ${deploy.release}`);
        setText(this.badge, word);
        setClass(this.badge, `badge ${tone}`);
        setClass(this.element, `deploy${tone === "good" ? "" : " asks"}`);
        setText(
            this.facts,
            `${deploy.id}, by ${deploy.actor}: step ${Math.min(deploy.step, deploy.steps)} of ${deploy.steps}, ${deploy.release} has ${percent(deploy.percent / 100)}; ` +
                `${deploy.phase} for ${span(Date.now() - deploy.since_ms)}${deploy.why ? `: ${deploy.why}` : ""}.`,
        );
        this.updateSteps(deploy);
        setText(this.verdict, verdictOf(deploy));
        this.table.update(sidesOf(deploy));
        this.checks.update((deploy.checks || []).map((check, i) => ({...check, key: i})));
        const waiting = (deploy.waiting_for || []).map(
            each => `Waits for edge ${each.edge}${each.error ? `: ${each.error}` : ""}.`,
        );
        setText(this.waiting, waiting.join(" "));
        this.updateButtons(deploy);
        this.updateLog(deploy);
    }

    updateSteps(deploy) {
        while (this.steps.children.length > deploy.steps) this.steps.lastChild.remove();
        while (this.steps.children.length < deploy.steps) this.steps.append(make("span"));
        [...this.steps.children].forEach((step, i) =>
            setClass(step, i + 1 < deploy.step ? "past" : i + 1 === deploy.step ? "now" : ""),
        );
        this.steps.setAttribute("aria-label", `Step ${deploy.step} of ${deploy.steps}`);
        setHidden(this.steps, deploy.steps < 1);
    }

    updateButtons(deploy) {
        const store = this.view.store;
        const items = deploy.words
            .filter(word => actions.deployWord(word) && store.may(actions.deployRight(word)))
            .map(word => ({key: word, word}));
        keepChildren(this.buttons, items, this.kept, item => ({
            element: actions.button(
                actions.deployWord(item.word),
                `${actions.deployWord(item.word)} deploy ${deploy.id} of ${deploy.service}`,
                () => act(actions.sayToDeploy(this.deploy, item.word), store.refresh),
            ),
            update() {},
        }));
    }

    updateLog(deploy) {
        const text = (deploy.log || [])
            .slice(-LOG_LINES)
            .map(line => `${clock(line.time_ms)}  ${line.text}`)
            .join("\n");
        setHidden(this.log, !text);
        if (this.log.textContent === text) return;
        const isAtEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 4;
        setText(this.log, text);
        if (isAtEnd) this.log.scrollTop = this.log.scrollHeight;
    }
}

export class DeploysView {
    constructor(store) {
        this.store = store;
        this.kept = new Map();
        this.none = make("p", {class: "quiet"});
        this.list = make("div");
        byId("running").append(this.none, this.list);
        this.past = new Table("Deploys that are over", [
            {title: "Deploy", text: row => row.id},
            {title: "Service", text: row => row.service},
            {title: "Release", text: row => row.release},
            {
                title: "Outcome",
                text: row => (OUTCOMES[row.outcome] || [row.outcome])[0],
                tone: row => (OUTCOMES[row.outcome] || [])[1] || "",
            },
            {title: "When", wide: true, text: row => day(row.since_ms)},
            {title: "By", wide: true, text: row => row.actor},
            {title: "Why", words: true, wide: true, text: row => row.why || ""},
            {title: "Action", when: () => store.may("deploy"), build: row => this.buildReturn(row)},
        ]);
        byId("past").append(this.past.element);
        this.scaled = new Table("Scaled services", [
            {title: "Service", text: row => row.service},
            {title: "State", text: row => row.state, tone: row => (row.state === "broken" ? "bad" : "")},
            {
                title: "Units",
                num: true,
                text: row => `${row.ready} of ${row.wanted}`,
                tone: row => (row.ready < row.wanted ? "warn" : ""),
            },
            {title: "Waiting", num: true, wide: true, text: row => count(row.held)},
            {title: "Since", wide: true, text: row => (row.since_ms ? span(Date.now() - row.since_ms) : "-")},
            {
                title: "Spent today",
                num: true,
                wide: true,
                text: row => (row.spent_day ? row.spent_day.toFixed(2) : "-"),
            },
            {title: "Why", words: true, text: row => row.why || ""},
            {title: "Action", when: () => store.may("operate"), build: row => this.buildScale(row)},
        ]);
        byId("scaling").append(this.scaled.element);
        this.edges = new Table("Edges", [
            {title: "Edge", text: row => row.name},
            {
                title: "State",
                text: row => (row.forgotten ? "forgotten" : row.reachable ? "answers" : "silent"),
                tone: row => (row.forgotten ? "quiet" : row.reachable ? "good" : "bad"),
            },
            {title: "Generation", num: true, text: row => `${row.generation}`},
            {title: "Silent for", num: true, wide: true, text: row => span(row.silent_s * 1000)},
            {title: "Configuration", words: true, text: row => row.config_error || row.config || ""},
            {title: "Error", words: true, wide: true, text: row => row.error || ""},
        ]);
        byId("edges").append(this.edges.element);
    }

    /* The newest that is live can be gone back from. */
    buildReturn(first) {
        let deploy = first;
        const element = actions.button("Roll back", "", () =>
            act(actions.sayToDeploy(deploy, "rollback"), this.store.refresh),
        );
        return {
            element,
            update: row => {
                deploy = row;
                element.setAttribute(
                    "aria-label",
                    `Roll back ${row.service} from ${row.release} to ${row.old}`,
                );
                setHidden(element, !(row.isNewest && row.outcome === "live" && row.old));
            },
        };
    }

    buildScale(first) {
        let service = first;
        const word = (words, what) => actions.button(words, `${words} ${first.service}`, what);
        const wake = word("Wake", () => act(actions.wake(service.service), this.store.refresh));
        const sleep = word("Sleep", () => act(actions.sleep(service.service), this.store.refresh));
        const scale = word("Scale", () => actions.scale(service.service, service.wanted, this.store.refresh));
        return {
            element: make("span", {class: "actions"}, wake, sleep, scale),
            update: row => {
                service = row;
                const isAwake = row.state === "awake";
                setHidden(wake, isAwake);
                setHidden(sleep, !isAwake);
                setHidden(scale, !isAwake);
            },
        };
    }

    update() {
        const {deploys, details, control, edge} = this.store;
        const running = deploys.filter(deploy => !deploy.over && deploy.outcome !== "live");
        const over = deploys
            .filter(deploy => deploy.over || deploy.outcome === "live")
            .sort((a, b) => b.created_ms - a.created_ms);
        const newest = new Map([...over].reverse().map(deploy => [deploy.service, deploy.id]));
        keepChildren(
            this.list,
            running.map(deploy => ({key: deploy.id, deploy: details.get(deploy.id) || deploy})),
            this.kept,
            item => new DeployPart(this, item.deploy),
        );
        setText(
            this.none,
            running.length
                ? ""
                : control.away
                  ? control.away
                  : control.isNone
                    ? "This gateway has no control process here (`role: edge`): deploys and scaling are shown where control runs."
                    : "No deploy runs.",
        );
        this.past.update(
            over.slice(0, PAST_SHOWN).map(deploy => ({
                ...deploy,
                key: deploy.id,
                isNewest: newest.get(deploy.service) === deploy.id,
            })),
            over.length > PAST_SHOWN
                ? `the newest ${PAST_SHOWN} of ${plural(over.length, "deploy", "deploys")}`
                : "",
        );
        const held = new Map(
            ((edge && edge.services) || [])
                .filter(each => each.scale)
                .map(each => [each.name, each.scale.held]),
        );
        this.scaled.update(
            ((control.json && control.json.services) || []).map(each => ({
                ...each,
                key: each.service,
                held: held.get(each.service) || 0,
            })),
        );
        const edges = (control.json && control.json.edges) || [];
        this.edges.update(edges.length > 1 || !edge ? edges.map(each => ({...each, key: each.name})) : []);
    }
}
