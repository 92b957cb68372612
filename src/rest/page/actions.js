/* SPDX-License-Identifier: Apache-2.0
 *
 * What one may do here, as dialog.js asks about it: the words say what will happen, the path does it. And which right
 * each needs, since buttons that would be refused are not shown.
 */
import {ask} from "./api.js";
import {act, openDialog, say} from "./dialog.js";
import {make} from "./dom.js";
import {count, percent, plural, some} from "./format.js";

const e = encodeURIComponent;
const serviceOf = name => `/api/v1/services/${e(name)}`;

export function drain(service, target, others) {
    return {
        title: `Drain ${target.id}`,
        words: [
            `${service} gives ${target.id} (${target.address}) no new requests. What it is answering now (${count(target.in_flight)}) goes on; nothing is cut.`,
            others > 0
                ? `${plural(others, "other target stays", "other targets stay")} up.`
                : "No other target of this service is up: its requests will get the fallback, or 503.",
        ],
        button: "Drain it",
        isDanger: others <= 0,
        path: `${serviceOf(service)}/targets/${e(target.id)}/drain`,
        done: json => `${target.id} of ${service} gets no new requests since generation ${json.generation}.`,
    };
}

export function enable(service, target) {
    return {
        title: `Enable ${target.id}`,
        words: [`${service} gives ${target.id} (${target.address}) requests again, once its checks pass.`],
        button: "Enable it",
        path: `${serviceOf(service)}/targets/${e(target.id)}/enable`,
        done: json => `${target.id} of ${service} is back since generation ${json.generation}.`,
    };
}

export function pause(service) {
    return {
        title: `Pause ${service}`,
        words: [
            "New requests wait at the gateway until it is resumed, or until their patience ends; what runs goes on.",
        ],
        button: "Pause it",
        isDanger: true,
        path: `${serviceOf(service)}/pause`,
        done: () => `${service} is paused: its requests wait.`,
    };
}

export function maintain(service) {
    return {
        title: `Maintenance of ${service}`,
        words: [
            "Whoever asks gets the maintenance answer, 503 unless the configuration says otherwise, and nobody gets to its targets.",
        ],
        button: "Begin maintenance",
        isDanger: true,
        path: `${serviceOf(service)}/maintenance`,
        done: () => `${service} is in maintenance.`,
    };
}

export function resume(service, mode) {
    return {
        title: `Resume ${service}`,
        words: [
            mode === "paused"
                ? "The requests that wait go on, and new ones go to its targets."
                : "Requests go to its targets again.",
        ],
        button: "Resume it",
        path: `${serviceOf(service)}/resume`,
        done: () => `${service} runs again.`,
    };
}

export function wake(service) {
    return {
        title: `Wake ${service}`,
        words: ["Its units are started; requests that wait go on once they are healthy."],
        button: "Wake it",
        path: `${serviceOf(service)}/wake`,
        done: () => `${service} is being woken.`,
    };
}

export function sleep(service) {
    return {
        title: `Put ${service} to sleep`,
        words: [
            "Its units are stopped once they have answered what they have. The next request wakes it and waits so long.",
        ],
        button: "Put it to sleep",
        isDanger: true,
        path: `${serviceOf(service)}/sleep`,
        done: () => `${service} goes to sleep.`,
    };
}

export function reload() {
    return {
        title: "Reload the configuration",
        words: [
            "The file is read again. If it is wrong, nothing changes and what is wrong is said; if it is right, it serves from then on, and no connection notices.",
        ],
        button: "Reload it",
        path: "/api/v1/reload",
        done: json =>
            json.generation ? `Generation ${json.generation} serves.` : "The configuration was read again.",
    };
}

export function keepConfig() {
    return {
        title: "Keep the configuration",
        words: ["What serves now stays; without this the one of before comes back."],
        button: "Keep it",
        path: "/api/v1/config/confirm",
        done: json => `Generation ${json.generation} stays.`,
    };
}

/* --- deploys */

const DEPLOY_WORDS = {
    promote: [
        "Promote",
        false,
        deploy =>
            `The step that runs now ends, whatever its time and its verdict: ${deploy.release} goes on to its next share of ${deploy.service}, and after the last step to all of it.`,
    ],
    approve: [
        "Approve",
        false,
        deploy => `The step that waits for a person is passed: ${deploy.release} goes on to its next share.`,
    ],
    abort: [
        "Abort",
        true,
        deploy =>
            `The deploy ends: ${deploy.old} gets all requests of ${deploy.service} again, and ${deploy.release} is drained and removed.`,
    ],
    retry: ["Try again", false, () => "What failed is tried once more."],
    rollback: [
        "Roll back",
        true,
        deploy =>
            `${deploy.service} goes back from ${deploy.release} to ${deploy.old}: at once if that is still warm, else it is started first.`,
    ],
};
const DEPLOY_RIGHTS = {approve: "approve"};

export function deployRight(word) {
    return DEPLOY_RIGHTS[word] || "deploy";
}

export function deployWord(word) {
    return DEPLOY_WORDS[word] ? DEPLOY_WORDS[word][0] : null;
}

export function sayToDeploy(deploy, word) {
    const [name, isDanger, words] = DEPLOY_WORDS[word];
    return {
        title: `${name}: ${deploy.id} of ${deploy.service}`,
        words: [words(deploy)],
        button: name,
        isDanger,
        path:
            word === "rollback"
                ? `${serviceOf(deploy.service)}/rollback`
                : `/api/v1/deploys/${e(deploy.id)}/${word}`,
        done: () => `Deploy ${deploy.id}: ${name.toLowerCase()} was said.`,
    };
}

/* --- the split: numbers are weights, whatever they add up to */

export async function split(service, afterwards) {
    const inputs = service.releases.map(release =>
        make("input", {
            type: "number",
            min: "0",
            max: "1000000",
            step: "1",
            required: true,
            value: String(release.share),
        }),
    );
    const result = make("p", {class: "quiet", "aria-live": "polite"});
    const tell = () => {
        const sum = inputs.reduce((all, input) => all + Number(input.value), 0);
        result.textContent =
            sum > 0
                ? `So ${some(
                      service.releases.map(
                          (release, i) => `${release.id} gets ${percent(Number(inputs[i].value) / sum)}`,
                      ),
                      9,
                  )}.`
                : "One at least has to get something.";
    };
    inputs.forEach(input => input.addEventListener("input", tell));
    tell();
    const answer = await openDialog({
        title: `Split of ${service.name}`,
        words: [
            "New clients are given to releases by these weights, at once and on every edge; a client that sticks to one stays while that has a share.",
        ],
        button: "Split so",
        isDanger: true,
        fields: [
            ...service.releases.map((release, i) =>
                make("label", {}, release.stable ? `${release.id} (stable)` : release.id, inputs[i]),
            ),
            result,
        ],
        send: () =>
            ask(`${serviceOf(service.name)}/split`, {
                method: "PUT",
                body: Object.fromEntries(
                    service.releases.map((release, i) => [release.id, Number(inputs[i].value)]),
                ),
            }),
    });
    if (!answer) return;
    const lacking = (answer.json && answer.json.lacking) || [];
    say(
        lacking.length
            ? `The split was changed, but not yet at ${some(lacking.map(each => each.name))}.`
            : `The split of ${service.name} was changed.`,
    );
    afterwards();
}

export async function scale(service, wanted, afterwards) {
    const input = make("input", {
        type: "number",
        min: "0",
        max: "1000",
        step: "1",
        required: true,
        value: String(wanted),
    });
    await act(
        {
            title: `Scale ${service}`,
            words: ["So many units run until load or its limits say otherwise."],
            button: "Scale it",
            fields: [make("label", {}, "Units", input)],
            path: `${serviceOf(service)}/scale`,
            get body() {
                return {replicas: Number(input.value)};
            },
            done: () => `${service}: ${plural(Number(input.value), "unit is", "units are")} wanted.`,
        },
        afterwards,
    );
}

/* A button that asks first. */
export function button(words, label, onclick) {
    return make("button", {type: "button", class: "small", "aria-label": label, onclick}, words);
}
