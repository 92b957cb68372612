/* SPDX-License-Identifier: Apache-2.0
 *
 * The dashboard: asks the admin API every two seconds, and has each view show what it got. Without a framework: a view
 * is a class with update(). All that is known stands in `store`; all of it is bounded, however long the page is open.
 * A hidden tab asks less and draws nothing; when it is seen again it catches up at once.
 */
import {ask, Away, follow} from "./api.js";
import {signIn, signOut} from "./dialog.js";
import {byId, keepChildren, make, setClass, setHidden, setText} from "./dom.js";
import {clock, plural, rate, span} from "./format.js";
import {problemsOf, wellOf} from "./problems.js";
import {Series} from "./series.js";
import {DeploysView} from "./view_deploys.js";
import {ConfigView, EventsView, WhyView} from "./view_more.js";
import {PAGE, ServicesView} from "./view_services.js";
import {LimitsView, TrafficView} from "./view_traffic.js";

const LOOK_MS = 2000,
    SOON_MS = 400,
    HIDDEN_MS = 10_000,
    AWAY_MS = 15_000;
const SELDOM_MS = 5000,
    RARE_MS = 30_000; // what is not asked every time
const EVENTS_MAX = 200,
    TARGETS_AT_A_TIME = 600,
    TARGETS_EACH = 25,
    PROBLEMS_SHOWN = 12,
    DETAILS_MAX = 8;
const OWN_PAGE = document.querySelector("meta[name=sluice-page]").content;

const store = {
    session: null, // who asks, and what that may do
    edge: null, // GET /api/v1/status
    control: {json: null, away: null, isNone: false},
    deploys: [],
    details: new Map(), // of deploys that run, by id
    slo: null,
    hasSlo: true, // it knows that path
    series: new Series(),
    events: [],
    eventNumber: 0,
    isFollowing: false,
    opened: null, // the service whose targets are paged through: {service, skip, targets, isThere}
    awaySince: null,
    lastMs: null, // when the gateway answered last
    may: right => Boolean(store.session) && store.session.can.includes(right),
    refresh: () => look(true),
};
const views = [];
let config;

/* --- asking */

const asked = new Map();

/* Whether something that is asked only now and then is due. */
function isDue(name, every_ms) {
    const now = performance.now();
    if (now - (asked.get(name) ?? -Infinity) < every_ms) return false;
    asked.set(name, now);
    return true;
}

async function askSession() {
    const answer = await ask("/api/v1/session");
    if (answer.status === 200 && answer.json) store.session = answer.json;
}

/* How many targets of each service: few of each when there are many services. */
function targetsEach() {
    const services = store.edge ? store.edge.services.length : 1;
    return Math.max(1, Math.min(TARGETS_EACH, Math.floor(TARGETS_AT_A_TIME / Math.max(1, services))));
}

async function askEdge() {
    const [status, counters] = await Promise.all([
        ask(`/api/v1/status?targets=${targetsEach()}`),
        ask("/api/v1/counters?routes=true"),
    ]);
    if (status.status === 200 && status.json) store.edge = status.json;
    else if (status.status === 401 || status.status === 421) asked.delete("session"); // the session has ended
    if (counters.status === 200 && counters.json) store.series.add(counters.json);
}

async function askOpened() {
    const opened = store.opened;
    if (!opened) return;
    const answer = await ask(
        `/api/v1/status?service=${encodeURIComponent(opened.service)}&targets=${PAGE}&skip=${opened.skip}`,
    );
    const service = answer.status === 200 && answer.json && answer.json.services[0];
    if (store.opened !== opened) return; // another page is wanted by now
    if (service) Object.assign(opened, {targets: service.targets, isThere: true});
    else store.opened = null;
}

/* With `role: edge` there is none here, and nothing to miss. */
function takeControl(answer) {
    const isNone = store.edge?.role === "edge";
    if (answer.status === 200 && answer.json) store.control = {json: answer.json, away: null, isNone: false};
    else if (answer.status === 503)
        store.control = {
            json: null,
            isNone,
            away: isNone ? null : (answer.json && answer.json.detail) || "Control does not answer.",
        };
}

async function askControl() {
    const [control, deploys] = await Promise.all([ask("/api/v1/control"), ask("/api/v1/deploys")]);
    takeControl(control);
    store.deploys =
        deploys.status === 200 && deploys.json
            ? deploys.json.deploys
            : store.control.json
              ? store.deploys
              : [];
    const running = store.deploys
        .filter(deploy => !deploy.over && deploy.outcome !== "live")
        .slice(0, DETAILS_MAX);
    const fresh = new Map();
    for (const deploy of running) {
        const answer = await ask(`/api/v1/deploys/${encodeURIComponent(deploy.id)}`);
        if (answer.status === 200 && answer.json) fresh.set(deploy.id, answer.json);
    }
    store.details = fresh;
}

/* A gateway that knows no objectives, or whose control is away, answers 404 or 503: then there is nothing to show. */
async function askSlo() {
    const answer = await ask("/api/v1/slo");
    store.slo = answer.status === 200 ? answer.json : null;
    store.hasSlo = answer.status !== 404;
}

async function askConfig() {
    const answer = await ask("/api/v1/config");
    if (answer.status === 200) config.take(answer.text, Number((answer.tag || "").replaceAll('"', "")));
}

/* Whoever may not read any more does not go on seeing what was read before. */
function forget() {
    Object.assign(store, {
        edge: null,
        control: {json: null, away: null, isNone: false},
        deploys: [],
        details: new Map(),
        slo: null,
        series: new Series(),
        events: [],
        opened: null,
    });
    followEvents(false);
    asked.clear();
}

/* Control has no events to tell. */
let unfollow = null;

function followEvents(isWanted) {
    if (isWanted && !unfollow)
        unfollow = follow("/api/v1/events", takeEvent, isFollowing => {
            store.isFollowing = isFollowing;
        });
    if (!isWanted && unfollow) {
        unfollow();
        unfollow = null;
        store.isFollowing = false;
    }
}

async function askAll(isAll) {
    const seldom = isAll || store.details.size ? 0 : SELDOM_MS;
    if (isDue("session", isAll ? 0 : SELDOM_MS) || !store.session) await askSession();
    if (!store.may("read")) {
        forget();
        return;
    }
    const isEdge = store.session.role === "edge";
    const generation = store.edge && store.edge.generation;
    const jobs = [];
    if (isEdge) {
        await askEdge(); // the rest goes by what it says
        jobs.push(askOpened());
    }
    if (isDue("control", store.control.isNone ? RARE_MS : seldom)) jobs.push(askControl());
    if (store.hasSlo && isDue("slo", RARE_MS)) jobs.push(askSlo());
    await Promise.all(jobs);
    followEvents(isEdge);
    if (isEdge && (isDue("config", RARE_MS) || generation !== store.edge?.generation || isAll))
        await askConfig();
}

/* --- one look after another; two never run at once */

let timer = null,
    isLooking = false,
    isWanted = false;

async function look(isAll = false) {
    if (isLooking) {
        isWanted = true;
        return;
    }
    isLooking = true;
    clearTimeout(timer);
    try {
        await askAll(isAll);
        if (store.awaySince) asked.clear();
        store.awaySince = null;
        store.lastMs = Date.now();
    } catch (error) {
        if (error instanceof Away) store.awaySince ??= Date.now();
        else console.error(error); // a fault of this page's own: it looks again all the same
    }
    isLooking = false;
    try {
        if (!document.hidden) show();
    } catch (error) {
        console.error(error);
    }
    const wait_ms = isWanted
        ? 0
        : document.hidden
          ? HIDDEN_MS
          : store.awaySince
            ? Math.min(AWAY_MS, LOOK_MS + (Date.now() - store.awaySince) / 10)
            : LOOK_MS;
    const isAsked = isWanted;
    isWanted = false;
    timer = setTimeout(() => look(isAsked), wait_ms);
}

/* --- showing */

function show() {
    const isLocked = Boolean(store.session) && !store.may("read");
    showFrame(isLocked);
    setHidden(byId("locked"), !isLocked);
    setHidden(byId("parts"), isLocked || !store.session);
    setHidden(byId("banner"), isLocked);
    setHidden(byId("nav"), isLocked);
    setHidden(byId("foot"), isLocked);
    if (isLocked) return;
    const isEdge = store.session?.role === "edge";
    for (const id of ["traffic", "services", "limits", "config"])
        setHidden(byId(id), !isEdge && id !== "config");
    showProblems();
    views.forEach(view => view.update());
}

function showFrame(isLocked) {
    const {session, edge, control, awaySince, lastMs} = store;
    const isAway = awaySince !== null;
    const isOther = Boolean(session) && session.page !== OWN_PAGE;
    setHidden(byId("away"), !isAway);
    document.body.classList.toggle("is-away", isAway);
    if (isAway)
        setText(
            byId("away"),
            lastMs
                ? `The gateway does not answer since ${clock(awaySince)}. What is shown is of ${clock(lastMs)}; it is tried again by itself.`
                : "The gateway does not answer. It is tried again by itself.",
        );
    setHidden(byId("other"), !isOther || isAway);
    setText(
        byId("other-words"),
        isOther
            ? `The gateway has another version of this page by now${session.version ? ` (it is ${session.version})` : ""}: what is shown may be wrong. `
            : "",
    );
    const [word, tone] = isAway
        ? ["not reachable", "bad"]
        : isLocked || !session
          ? ["connecting", ""]
          : !edge
            ? [session.role === "control" ? "control" : "starting", ""]
            : edge.draining
              ? ["draining", "warn"]
              : edge.ready
                ? ["serving", "good"]
                : ["starting", "warn"];
    setText(byId("state"), isLocked ? "locked" : word);
    setClass(byId("state"), `badge ${tone}`.trim());
    const known = edge || control.json;
    setText(
        byId("facts"),
        isLocked || !known
            ? ""
            : `version ${known.version}${edge ? `, generation ${edge.generation}` : ""}, up ${span(known.uptime_s * 1000)}`,
    );
    if (isAway) document.title = "Sluice: not reachable";
    showWho(session);
    setText(byId("seen"), lastMs ? `last looked at ${clock(lastMs)}` : "");
}

function showWho(session) {
    if (!session) return;
    setText(
        byId("who"),
        session.signed_in
            ? `${session.name}: ${session.can.join(", ")}`
            : session.can.length
              ? "reading only"
              : "",
    );
    setText(byId("sign"), session.signed_in ? "Sign out" : "Sign in");
    setHidden(byId("sign"), !session.signed_in && !session.has_tokens);
    setHidden(byId("locked-sign"), !session.has_tokens);
}

/* A screen reader hears the heading when what is wrong is another thing than before, and not at each look. */
const LEVELS = {bad: "Problem", warn: "Warning", note: "Note"};
const problemParts = new Map();

function showProblems() {
    const banner = byId("banner"),
        isKnown = store.edge || store.control.json;
    const list = isKnown ? problemsOf(store) : [];
    const grave = list.filter(problem => problem.level !== "note");
    const isAway = store.awaySince !== null;
    const level =
        isAway || !isKnown
            ? "none"
            : grave.some(problem => problem.level === "bad")
              ? "bad"
              : grave.length
                ? "warn"
                : "good";
    const unshown = list.length - PROBLEMS_SHOWN;
    if (banner.dataset.level !== level) banner.dataset.level = level;
    const now = store.series.now;
    const well = wellOf(store);
    setText(
        byId("banner-title"),
        isAway
            ? "What is wrong now is not known"
            : !isKnown
              ? "Looking at the gateway"
              : grave.length
                ? plural(grave.length, "thing needs you", "things need you")
                : `All is well${well ? `: ${well}` : ""}${now ? `; ${rate(now.total.rate)} requests per second` : ""}`,
    );
    if (!isAway) document.title = `${grave.length ? `(${grave.length}) ` : ""}Sluice at ${location.host}`;
    const items = list.slice(0, PROBLEMS_SHOWN);
    if (unshown > 0)
        items.push({
            key: "more",
            level: "note",
            text: `${plural(unshown, "more is", "more are")} not shown.`,
        });
    keepChildren(byId("problems"), items, problemParts, problemPart);
    announce(grave);
}

function problemPart() {
    const level = make("span"),
        words = make("span"),
        link = make("a", {}, "see");
    const element = make("li", {}, level, make("span", {}, words, " ", link));
    return {
        element,
        update: problem => {
            setText(level, LEVELS[problem.level]);
            setClass(level, `level ${problem.level}`);
            setText(words, problem.text);
            setHidden(link, !problem.at);
            link.href = `#${problem.at}`;
            link.setAttribute("aria-label", `See ${problem.at}`);
        },
    };
}

let announced = null;
const speaker = make("p", {class: "hidden-text", role: "status"});

function announce(grave) {
    const keys = grave.map(problem => problem.key).join("\n");
    if (keys === announced) return;
    if (announced !== null || grave.length)
        setText(
            speaker,
            grave.length
                ? `${plural(grave.length, "thing needs you", "things need you")}. ${grave[0].text}`
                : "All is well again.",
        );
    announced = keys;
}

/* --- the beginning */

function useTheme(choice) {
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
}

/* Where a browser keeps nothing for a page, the choice lasts as long as the page. */
function beginTheme() {
    let choice = "auto";
    try {
        choice = localStorage.getItem("sluice.theme") || "auto";
    } catch {
        /* it keeps nothing */
    }
    const select = byId("theme");
    select.value = choice;
    useTheme(select.value || "auto");
    select.addEventListener("change", () => {
        useTheme(select.value);
        try {
            localStorage.setItem("sluice.theme", select.value);
        } catch {
            /* the same */
        }
    });
}

/* Events come in swarms: one look is for all of them. */
let soon = null;

function takeEvent(event) {
    store.events.push({...event, key: ++store.eventNumber});
    if (store.events.length > EVENTS_MAX) store.events.splice(0, store.events.length - EVENTS_MAX);
    asked.delete("control");
    if (event.kind === "config") asked.delete("config");
    soon ??= setTimeout(() => {
        soon = null;
        look();
    }, SOON_MS);
}

function begin() {
    beginTheme();
    document.body.append(speaker);
    config = new ConfigView(store);
    views.push(
        new TrafficView(store),
        new ServicesView(store),
        new DeploysView(store),
        new LimitsView(store),
        new EventsView(store),
        new WhyView(),
        config,
    );
    const sign = () => (store.session?.signed_in ? signOut(store.refresh) : signIn(store.refresh));
    byId("sign").addEventListener("click", sign);
    byId("locked-sign").addEventListener("click", sign);
    byId("anew").addEventListener("click", () => location.reload());
    document.addEventListener("visibilitychange", () => document.hidden || look());
    look();
}

begin();
