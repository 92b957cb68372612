/* SPDX-License-Identifier: Apache-2.0
 *
 * Services: the split as a bar, targets with their state and its reason, those that are not up first, and what may be
 * done about them. Of many services those with something to say come first; of many targets a page is shown, and how
 * many are not.
 */
import * as actions from "./actions.js";
import {act} from "./dialog.js";
import {byId, keepChildren, make, setClass, setHidden, setText, Table} from "./dom.js";
import {count, percent, plural, span} from "./format.js";

const SERVICES_SHOWN = 20;
export const PAGE = 100; // targets, once one asks for them

const BALANCE_WORDS = {
    ejected_used: "uses ejected ones",
    panic: "panic: uses all",
    unknown: "not checked yet",
    none: "none usable",
};
const TONES = {up: "good", down: "bad", ejected: "bad", drained: "warn", unknown: "quiet"};

function stateOf(target) {
    return target.drained ? "drained" : target.state || "unknown";
}

/* Why a target is in the state that it is in. */
function reasonOf(target) {
    const since = target.since_s >= 0 && target.state ? `for ${span(target.since_s * 1000)}` : "";
    const reason = target.drained
        ? `by the ${target.drained_source === "control" ? "deploy" : "API"}`
        : target.reason || "";
    return [reason, since].filter(Boolean).join(", ");
}

function statesOf(service) {
    const states = service.target_states;
    return (
        ["up", "down", "ejected", "unknown", "drained"]
            .filter(word => states[word])
            .map(word => `${count(states[word])} ${word}`)
            .join(", ") || "no targets"
    );
}

function total(service) {
    return Object.values(service.target_states).reduce((a, b) => a + b, 0);
}

/* How much there is to say of a service: those come first. */
function weight(service) {
    const states = service.target_states,
        isOdd = service.mode !== "running" || service.balance_mode !== "normal";
    return (states.down || 0) + (states.ejected || 0)
        ? 3
        : isOdd
          ? 2
          : (states.unknown || 0) + (states.drained || 0) + service.waiting
            ? 1
            : 0;
}

class ServicePart {
    constructor(view, service) {
        this.view = view;
        this.name = service.name;
        this.badge = make("span");
        this.states = make("span", {class: "quiet"});
        this.buttons = make("span", {class: "actions"});
        this.kept = new Map();
        this.bar = make("div", {class: "bar", "aria-hidden": "true"});
        this.shares = make("ul", {class: "shares", "aria-label": `Split of ${service.name}`});
        this.split = make("div", {hidden: true}, this.bar, this.shares);
        this.words = make("p", {class: "tone-warn"});
        this.table = new Table(`Targets of ${service.name}`, [
            {title: "Target", text: row => row.id},
            {title: "State", text: stateOf, tone: row => TONES[stateOf(row)] || ""},
            {title: "Why", words: true, text: reasonOf},
            {title: "Release", wide: true, text: row => row.release},
            {title: "Address", wide: true, text: row => row.address},
            {title: "In flight", num: true, wide: true, text: row => count(row.in_flight)},
            {title: "Open", num: true, wide: true, text: row => count(row.connections.open)},
            {title: "Action", when: () => view.store.may("operate"), build: row => this.buildAction(row)},
        ]);
        this.buildPager();
        this.element = make(
            "article",
            {class: "service", "aria-label": `Service ${service.name}`},
            make("header", {}, make("h3", {}, service.name), this.badge, this.states, this.buttons),
            this.words,
            this.split,
            this.table.element,
            this.pager,
        );
    }

    buildPager() {
        const turn = by => () => this.view.open(this.name, this.skip + by);
        this.skip = 0;
        this.note = make("span");
        this.back = make(
            "button",
            {
                type: "button",
                class: "small",
                onclick: turn(-PAGE),
                "aria-label": `Targets of ${this.name} before these`,
            },
            "Before",
        );
        this.next = make(
            "button",
            {
                type: "button",
                class: "small",
                onclick: turn(PAGE),
                "aria-label": `Targets of ${this.name} after these`,
            },
            "After",
        );
        this.whole = make("button", {
            type: "button",
            class: "small",
            onclick: () => this.view.open(this.isOpen ? null : this.name, 0),
        });
        this.pager = make("div", {class: "more"}, this.note, this.back, this.next, this.whole);
    }

    /* Drain or enable, by what the target is now. */
    buildAction(first) {
        let target = first;
        const element = make("button", {
            type: "button",
            class: "small",
            onclick: () => {
                const isUp = !target.drained && target.state === "up";
                const others = (this.service.target_states.up || 0) - (isUp ? 1 : 0);
                act(
                    target.drained
                        ? actions.enable(this.name, target)
                        : actions.drain(this.name, target, others),
                    this.view.store.refresh,
                );
            },
        });
        return {
            element,
            update: row => {
                target = row;
                setText(element, row.drained ? "Enable" : "Drain");
                element.setAttribute(
                    "aria-label",
                    `${row.drained ? "Enable" : "Drain"} ${row.id} of ${this.name}`,
                );
            },
        };
    }

    update({service, opened}) {
        const isOdd = service.mode !== "running";
        this.service = service;
        this.isOpen = Boolean(opened);
        setText(
            this.badge,
            isOdd
                ? service.mode
                : service.scale
                  ? service.scale.state
                  : service.balance_mode !== "normal"
                    ? BALANCE_WORDS[service.balance_mode] || service.balance_mode
                    : weight(service) > 2
                      ? "impaired"
                      : "runs",
        );
        setClass(
            this.badge,
            `badge ${service.balance_mode === "none" && !isOdd ? "bad" : isOdd || weight(service) > 1 ? "warn" : "good"}`,
        );
        setText(
            this.states,
            `${statesOf(service)}${service.waiting ? `; ${plural(service.waiting, "request waits", "requests wait")}` : ""}`,
        );
        setText(this.words, service.balance_mode === "normal" || service.scale ? "" : service.balance_words);
        this.updateSplit(service);
        this.updateButtons(service);
        this.updateTargets(service, opened);
    }

    updateSplit(service) {
        const hasChoice = service.has_releases && service.releases.length > 0;
        setHidden(this.split, !hasChoice);
        if (!hasChoice) return;
        while (this.bar.children.length > service.releases.length) this.bar.lastChild.remove();
        while (this.bar.children.length < service.releases.length) this.bar.append(make("span"));
        service.releases.forEach((release, i) => {
            this.bar.children[i].style.width = `${release.percent}%`;
        });
        const words = service.releases.map(
            release =>
                `${release.id}${release.stable ? " (stable)" : ""}: ${percent(release.percent / 100)}, ${release.up} of ${plural(release.targets, "target", "targets")} up`,
        );
        if (this.told !== words.join("\n"))
            this.shares.replaceChildren(...words.map(text => make("li", {}, text)));
        this.told = words.join("\n");
    }

    updateButtons(service) {
        const store = this.view.store,
            items = [];
        const add = (key, words, right, what) => store.may(right) && items.push({key, words, what});
        if (service.mode === "running") {
            add("pause", "Pause", "operate", () => act(actions.pause(this.name), store.refresh));
            add("maintenance", "Maintenance", "operate", () =>
                act(actions.maintain(this.name), store.refresh),
            );
        } else {
            add("resume", "Resume", "operate", () =>
                act(actions.resume(this.name, this.service.mode), store.refresh),
            );
        }
        if (service.has_releases && service.releases.length > 1)
            add("split", "Split", "deploy", () => actions.split(this.service, store.refresh));
        keepChildren(this.buttons, items, this.kept, item => ({
            element: actions.button(item.words, `${item.words} ${this.name}`, item.what),
            update() {},
        }));
    }

    updateTargets(service, opened) {
        const all = total(service),
            targets = opened ? opened.targets : service.targets;
        this.skip = opened ? opened.skip : 0;
        this.table.update(targets.map(target => ({...target, key: `${target.release}\n${target.id}`})));
        const isPart = all > service.targets.length;
        setHidden(this.pager, !isPart);
        setText(
            this.note,
            opened
                ? `${count(this.skip + (targets.length ? 1 : 0))} to ${count(this.skip + targets.length)} of ${count(all)}, those not up first.`
                : `${count(all - targets.length)} more are not shown; those not up come first.`,
        );
        setHidden(this.back, !opened || !this.skip);
        setHidden(this.next, !opened || this.skip + targets.length >= all);
        setText(this.whole, opened ? "Close" : "Page through them");
        this.whole.setAttribute(
            "aria-label",
            opened ? `Close the targets of ${this.name}` : `Page through the targets of ${this.name}`,
        );
    }
}

export class ServicesView {
    constructor(store) {
        this.store = store;
        this.kept = new Map();
        this.list = make("div");
        this.filter = make("input", {
            id: "service-filter",
            type: "search",
            autocomplete: "off",
            spellcheck: "false",
            oninput: () => this.update(),
        });
        this.rest = make("span");
        this.tools = make(
            "div",
            {class: "more"},
            make("label", {for: "service-filter"}, "Services that have in their name"),
            this.filter,
            this.rest,
        );
        this.empty = make("p", {class: "quiet"}, "There are no services.");
        byId("service-list").append(this.tools, this.empty, this.list);
    }

    /* Whose targets are paged through; null: nobody's. */
    open(service, skip) {
        this.store.opened = service === null ? null : {service, skip: Math.max(0, skip), targets: []};
        this.store.refresh();
    }

    update() {
        const {edge, opened} = this.store;
        if (!edge) return;
        const word = this.filter.value.trim().toLowerCase();
        const fitting = edge.services.filter(service => !word || service.name.toLowerCase().includes(word));
        const shown = fitting
            .map((service, i) => ({service, i}))
            .sort((a, b) => weight(b.service) - weight(a.service) || a.i - b.i)
            .slice(0, SERVICES_SHOWN)
            .map(each => each.service);
        const unshown = fitting.length - shown.length;
        setHidden(this.empty, edge.services.length > 0);
        setHidden(this.tools, edge.services.length <= SERVICES_SHOWN && !word);
        setText(
            this.rest,
            unshown
                ? `${plural(unshown, "more service is", "more services are")} not shown; those with something wrong come first.`
                : word && !shown.length
                  ? "No service has that."
                  : "",
        );
        keepChildren(
            this.list,
            shown.map(service => ({
                key: service.name,
                service,
                opened: opened && opened.service === service.name && opened.isThere ? opened : null,
            })),
            this.kept,
            item => new ServicePart(this, item.service),
        );
    }
}
