/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of the admin API. The browser adds the session's cookie and the page's origin by itself; nothing here holds a
 * token.
 */

const PATIENCE_MS = 10_000;
const CHANGE_MS = 90_000; // a deploy asks its platform before it begins

/* There is no answer: the gateway is gone, or too slow. */
export class Away extends Error {}

/* {status, json, text, tag}; `json` is null when the answer is none. Throws Away. */
export async function ask(path, {method = "GET", body = null} = {}) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), method === "GET" ? PATIENCE_MS : CHANGE_MS);
    try {
        const answer = await fetch(path, {
            method,
            signal: stop.signal,
            cache: "no-store",
            credentials: "same-origin",
            headers: body === null ? {} : {"Content-Type": "application/json"},
            body: body === null ? null : JSON.stringify(body),
        });
        const text = await answer.text();
        return {status: answer.status, json: parse(answer, text), text, tag: answer.headers.get("ETag")};
    } catch (error) {
        throw new Away(error.message); // fetch has no other reason to throw
    } finally {
        clearTimeout(timer);
    }
}

function parse(answer, text) {
    if (!/\bjson\b/.test(answer.headers.get("Content-Type") || "")) return null;
    try {
        return JSON.parse(text);
    } catch {
        return null; // cut short: as good as none
    }
}

/* What an answer that is none of success says, in the API's own words. */
export function problemOf(answer) {
    const json = answer.json || {};
    const errors = (json.errors || []).map(
        each => `${each.at ? `${each.at}: ` : ""}${each.message}${each.hint ? ` (${each.hint})` : ""}`,
    );
    return errors.length
        ? errors.join("\n")
        : json.detail || json.title || `The gateway answered ${answer.status}.`;
}

/* Server-sent events by way of fetch, which says why when there are none, and takes any kind of event. Calls
 * onEvent({kind, data}) for each, onState(true) when the stream begins and onState(false) when it ends. Gives a
 * function that ends it. */
export function follow(path, onEvent, onState) {
    const stop = new AbortController();
    let wait_ms = 1000;

    async function once() {
        const answer = await fetch(path, {signal: stop.signal, cache: "no-store"});
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        wait_ms = 1000;
        onState(true);
        const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
            const {value, done} = await reader.read();
            if (done) return;
            rest += value;
            const blocks = rest.split("\n\n");
            rest = blocks.pop();
            blocks.map(readEvent).filter(Boolean).forEach(onEvent);
        }
    }

    async function forever() {
        while (!stop.signal.aborted) {
            await once().catch(() => {});
            if (stop.signal.aborted) return;
            onState(false);
            await new Promise(go => setTimeout(go, wait_ms));
            wait_ms = Math.min(wait_ms * 2, 15_000);
        }
    }

    forever();
    return () => stop.abort();
}

/* One block of lines; null: a comment. */
function readEvent(block) {
    let kind = "message",
        data = "";
    for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) kind = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (!data) return null;
    try {
        return {kind, data: JSON.parse(data), at: Date.now()};
    } catch {
        return {kind, data: {text: data}, at: Date.now()};
    }
}
