/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong, in sentences, worst first: what stands at the top of the page. Each has a key that stays while the
 * problem does, whatever numbers its sentence has. Pure.
 */
import {bytes, clock, count, day, percent, plural, some, span} from "./format.js";

const BAD = "bad",
    WARN = "warn",
    NOTE = "note";
const RANK = {[BAD]: 0, [WARN]: 1, [NOTE]: 2};

const ENOUGH = 20; // requests in the window, below which shares say little
const ERRORS_BAD = 0.05,
    ERRORS_WARN = 0.01;
const FULL_BAD = 0.95,
    FULL_WARN = 0.8;
const LAG_MS = 100;
const RECENT_MS = 60 * 60 * 1000,
    SOON_MS = 7 * 24 * 60 * 60 * 1000;
const CERTIFICATE_WORDS = {
    expired: [BAD, "has expired"],
    not_yet_valid: [BAD, "is not valid yet"],
    expires_soon: [WARN, "expires soon"],
};

/* How full something is; 0: it has no limit. */
export function fullness(used, most) {
    return most > 0 ? used / most : 0;
}

/* Which targets are out, and why; empty: none is. */
function outOf(service) {
    const out = service.targets.filter(
        target => !target.drained && (target.state === "down" || target.state === "ejected"),
    );
    const names = out.map(target => target.id);
    const reasons = some([...new Set(out.map(target => target.reason).filter(Boolean))], 2);
    return out.length ? `: ${some(names)}${reasons ? ` (${reasons})` : ""}` : "";
}

function ofTargets(service) {
    const states = service.target_states || {};
    const all = Object.values(states).reduce((a, b) => a + b, 0);
    const bad = (states.down || 0) + (states.ejected || 0);
    const isAsleep = service.scale && service.scale.state !== "awake";
    const of = (level, key, text) => [{level, key: `${key} ${service.name}`, at: "services", text}];
    if (service.balance_mode === "none" && !isAsleep && service.mode === "running")
        return all
            ? of(
                  BAD,
                  "none",
                  `No target of ${service.name} can be used, so requests get its fallback, or 503${outOf(service)}.`,
              )
            : of(
                  WARN,
                  "none",
                  `${service.name} has no targets: whoever asks for it gets its fallback, or 503.`,
              );
    if (!bad) return [];
    return of(
        bad * 2 >= all ? BAD : WARN,
        "targets",
        `${count(bad)} of ${plural(all, "target", "targets")} of ${service.name} ${bad === 1 ? "is" : "are"} out${outOf(service)}.`,
    );
}

function ofService(service) {
    const name = service.name,
        list = ofTargets(service);
    const add = (level, key, text) => list.push({level, key: `${key} ${name}`, text, at: "services"});
    if (service.balance_mode === "panic" || service.balance_mode === "ejected_used")
        add(WARN, "panic", `${name}: ${service.balance_words}`);
    if (service.mode !== "running")
        add(
            WARN,
            "mode",
            `${name} is ${service.mode === "paused" ? "paused: its requests wait" : "in maintenance: nobody gets to it"}.`,
        );
    if (service.waiting && service.mode === "running")
        add(
            NOTE,
            "waiting",
            `${plural(service.waiting, "request waits", "requests wait")} for a target of ${name}.`,
        );
    if (service.scale && service.scale.state === "broken")
        add(BAD, "scale", `${name} cannot be started: ${service.scale.why || "no reason was given"}.`);
    if (service.discover && service.discover.problem)
        add(
            WARN,
            "discover",
            `The targets of ${name} cannot be looked up (${service.discover.source}): ${service.discover.problem}.`,
        );
    return list;
}

/* Of one that the gateway does not judge itself. */
function ageOf(certificate) {
    const left_ms = Date.parse(certificate.not_after) - Date.now();
    return left_ms <= 0 ? "expired" : left_ms < SOON_MS ? "expires_soon" : "valid";
}

function ofCertificates(edge) {
    const all = [...(edge.certificates || [])];
    if (edge.admin_tls)
        all.push({...edge.admin_tls, domains: ["the admin port"], state: ageOf(edge.admin_tls)});
    return all.flatMap(one => {
        const names = some(one.domains && one.domains.length ? one.domains : [one.name || "no name"], 2);
        const [level, words] = CERTIFICATE_WORDS[one.state] || [];
        const list = [];
        if (level)
            list.push({
                level,
                key: `certificate ${names}`,
                at: "limits",
                text: `The certificate for ${names} ${words}: ${level === BAD && one.state !== "expired" ? `it begins ${day(Date.parse(one.not_before))}` : `its end is ${day(Date.parse(one.not_after))}`}.`,
            });
        if (one.error)
            list.push({
                level: WARN,
                key: `files ${names}`,
                at: "limits",
                text: `New files of the certificate for ${names} are bad: ${one.error}.`,
            });
        return list;
    });
}

function ofLimits(edge) {
    const list = [];
    const sum = key => (edge.workers || []).reduce((all, worker) => all + worker[key], 0);
    const full = (used, most, key, words) => {
        const share = fullness(used, most);
        if (share >= FULL_WARN)
            list.push({
                level: share >= FULL_BAD ? BAD : WARN,
                key: `full ${key}`,
                at: "limits",
                text: words(percent(share)),
            });
    };
    full(
        sum("connections"),
        sum("connections_max"),
        "connections",
        share => `Connections are ${share} of what may be: at the limit new ones get 503.`,
    );
    full(
        sum("memory_bytes"),
        edge.limits.memory,
        "memory",
        share =>
            `Connections and requests hold ${share} of ${bytes(edge.limits.memory)} of memory: at the limit new work is refused.`,
    );
    const late = (edge.workers || []).filter(worker => worker.lag_ms > LAG_MS);
    if (late.length)
        list.push({
            level: WARN,
            key: "lag",
            at: "limits",
            text: `${plural(late.length, "worker is", "workers are")} behind by up to ${Math.round(Math.max(...late.map(w => w.lag_ms)))} ms: the machine is too busy.`,
        });
    return list;
}

function ofConfig(edge) {
    const list = [],
        config = edge.config;
    const add = (level, key, text) => list.push({level, key, text, at: "config"});
    if (config.last_good)
        add(
            BAD,
            "last good",
            "After several crashes the gateway runs on the last configuration that lasted, not on its file.",
        );
    if (!config.last_reload.successful)
        add(
            WARN,
            "reload",
            `The last reload of ${config.path} failed: generation ${edge.generation} of before goes on.`,
        );
    if (config.confirm_until_ms)
        add(
            WARN,
            "confirm",
            `The configuration waits to be confirmed until ${clock(config.confirm_until_ms)}; else the one of before comes back.`,
        );
    return list;
}

function ofEdge(edge) {
    const list = [];
    const add = (level, key, text, at = null) => list.push({level, key, text, at});
    if (edge.draining)
        add(WARN, "draining", "The gateway is shutting down: it answers what it has and takes no more.");
    else if (!edge.ready) add(WARN, "starting", "The gateway is starting and not ready yet.");
    for (const words of edge.warnings || []) add(WARN, `warning ${words}`, words);
    if (edge.rate_limits && edge.rate_limits.shared === "degraded")
        add(
            WARN,
            "limiter",
            `Rate limits are each gateway's own, since Redis does not answer${edge.rate_limits.redis && edge.rate_limits.redis.reason ? `: ${edge.rate_limits.redis.reason}` : ""}.`,
            "limits",
        );
    if (edge.shield && edge.shield.on)
        add(
            NOTE,
            "shield",
            `The shield is up for another ${span(edge.shield.left_s * 1000)}: browsers solve a task first.`,
        );
    for (const source of (edge.credentials && edge.credentials.sources) || [])
        if (source.error)
            add(WARN, `keys ${source.name}`, `Keys of ${source.name} cannot be read: ${source.error}.`);
    return list;
}

function ofTraffic(now) {
    if (!now) return [];
    return now.routes
        .filter(route => route.requests >= ENOUGH && route.share >= ERRORS_WARN)
        .map(route => ({
            level: route.share >= ERRORS_BAD ? BAD : WARN,
            key: `errors ${route.name}`,
            at: "traffic",
            text: `Route ${route.name} fails ${percent(route.share)} of its requests: ${plural(route.errors, "answer", "answers")} of 5xx in the last ${Math.round(now.seconds)} s.`,
        }));
}

function ofDeploy(deploy, now_ms) {
    const words = `Deploy ${deploy.id} of ${deploy.service} to ${deploy.release}`;
    const why = deploy.why ? `: ${deploy.why}` : "";
    const says = {
        needs_a_person: [BAD, `${words} needs a person${why}.`],
        asks: [WARN, `${words} waits for a person${why || `: ${deploy.phase}`}.`],
        waits_for_edge: [
            WARN,
            `${words} waits for ${some((deploy.waiting_for || []).map(each => each.edge)) || "an edge"}.`,
        ],
    }[deploy.outcome];
    if (deploy.outcome === "runs")
        return [
            {
                level: NOTE,
                key: `deploy ${deploy.id} runs`,
                text: `${words} runs: step ${Math.min(deploy.step, deploy.steps)} of ${deploy.steps}, ${percent(deploy.percent / 100)}.`,
                at: "deploys",
            },
        ];
    const isRecent = now_ms - deploy.since_ms < RECENT_MS;
    const ended = {rolled_back: "was rolled back", failed: "failed"}[deploy.outcome];
    if (says)
        return [{level: says[0], key: `deploy ${deploy.id} ${deploy.outcome}`, text: says[1], at: "deploys"}];
    if (ended && isRecent)
        return [
            {level: NOTE, key: `deploy ${deploy.id} ended`, text: `${words} ${ended}${why}.`, at: "deploys"},
        ];
    return [];
}

function ofControl(state) {
    const control = state.control,
        list = [];
    const add = (level, key, text) => list.push({level, key, text, at: "deploys"});
    if (control.away) add(BAD, "control", `${control.away} Deploys and scaling stand still.`);
    if (!control.json) return list;
    if (control.json.store_error) add(BAD, "store", `Control's store failed: ${control.json.store_error}.`);
    if (control.json.backup && control.json.backup.error)
        add(WARN, "backup", `The last backup failed: ${control.json.backup.error}.`);
    for (const edge of control.json.edges || []) {
        if (edge.forgotten) continue;
        if (!edge.reachable)
            add(
                BAD,
                `edge ${edge.name}`,
                `Control does not reach edge ${edge.name}${edge.error ? `: ${edge.error}` : ""}; it was silent for ${span(edge.silent_s * 1000)}.`,
            );
        if (edge.config_error)
            add(
                WARN,
                `edge config ${edge.name}`,
                `Edge ${edge.name} does not have the configuration: ${edge.config_error}.`,
            );
    }
    for (const receiver of control.json.notices || [])
        if (receiver.error)
            add(WARN, `notice ${receiver.name}`, `Notices to ${receiver.name} fail: ${receiver.error}.`);
    for (const one of control.json.services || [])
        if (
            one.state === "broken" &&
            !(state.edge && state.edge.services.some(s => s.name === one.service && s.scale))
        )
            add(BAD, `scale ${one.service}`, `${one.service} cannot be started: ${one.why}.`);
    return list;
}

function ofSlo(slo) {
    return Object.entries((slo && slo.services) || {}).flatMap(([name, service]) =>
        service.objectives
            .filter(each => each.budget_left < 0.25)
            .map(each => ({
                level: each.budget_left <= 0 ? BAD : WARN,
                key: `slo ${name} ${each.slo}`,
                at: "traffic",
                text:
                    `${name} has ${each.budget_left <= 0 ? "no" : percent(each.budget_left)} error budget left for ${each.slo} of ${percent(each.objective)} ` +
                    `over ${span(service.window_s * 1000)}.`,
            })),
    );
}

/* [{level, key, text, at: the part of the page, or null}], worst first. */
export function problemsOf(state) {
    const list = [];
    if (state.edge) {
        list.push(
            ...ofEdge(state.edge),
            ...ofConfig(state.edge),
            ...state.edge.services.flatMap(ofService),
            ...ofCertificates(state.edge),
            ...ofLimits(state.edge),
        );
    }
    list.push(
        ...ofTraffic(state.series.now),
        ...state.deploys.flatMap(deploy => ofDeploy(deploy, Date.now())),
        ...ofControl(state),
        ...ofSlo(state.slo),
    );
    return list
        .map((problem, i) => ({problem, i}))
        .sort((a, b) => RANK[a.problem.level] - RANK[b.problem.level] || a.i - b.i)
        .map(each => each.problem);
}

/* What there is to say when all is well. */
export function wellOf(state) {
    const words = [];
    if (state.edge) {
        const up = state.edge.services.reduce(
            (sum, service) => sum + ((service.target_states || {}).up || 0),
            0,
        );
        words.push(plural(up, "target is up", "targets are up"));
    }
    if (state.control.json && state.control.json.edges && !state.edge)
        words.push(
            plural(
                state.control.json.edges.filter(edge => edge.reachable).length,
                "edge answers",
                "edges answer",
            ),
        );
    if (state.series.now)
        words.push(
            state.series.now.total.errors
                ? `${percent(state.series.now.total.share)} of requests fail`
                : "no request fails",
        );
    return words.join(", ");
}
