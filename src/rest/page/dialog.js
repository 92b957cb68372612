/* SPDX-License-Identifier: Apache-2.0
 *
 * Whatever changes something is asked about first, with what it will do; what the API says against it stands in the
 * same dialog, in its words. And signing in. The dialog element keeps the focus, and gives it back.
 */
import {ask, problemOf} from "./api.js";
import {byId, make, setHidden, setText} from "./dom.js";

/* Opens the dialog: {title, words, button, isDanger?, fields? (elements), send() -> answer}. Resolves to the answer when
 * it was one of success, to null when it was cancelled. */
export function openDialog({title, words, button, isDanger = false, fields = [], send}) {
    const dialog = byId("dialog"),
        form = byId("dialog-form"),
        yes = byId("dialog-yes"),
        no = byId("dialog-no");
    setText(byId("dialog-title"), title);
    byId("dialog-body").replaceChildren(...words.map(text => make("p", {}, text)), ...fields);
    setHidden(byId("dialog-error"), true);
    setText(yes, button);
    yes.classList.toggle("danger", isDanger);
    yes.disabled = no.disabled = false;
    return new Promise(resolve => {
        const end = answer => {
            form.onsubmit = no.onclick = dialog.oncancel = null;
            dialog.close();
            byId("dialog-body").replaceChildren(); // a token does not stay in the page
            resolve(answer);
        };
        form.onsubmit = event => {
            event.preventDefault();
            submit(yes, no, send, end);
        };
        no.onclick = () => end(null);
        dialog.oncancel = event => {
            event.preventDefault();
            if (!no.disabled) end(null);
        };
        dialog.showModal();
        // Whatever can be undone may be a stroke of Enter away; the rest is not.
        (fields.length ? byId("dialog-body").querySelector("input") : isDanger ? no : yes).focus();
    });
}

async function submit(yes, no, send, end) {
    const error = byId("dialog-error");
    setHidden(error, true);
    yes.disabled = no.disabled = true;
    try {
        const answer = await send();
        if (answer.status >= 200 && answer.status < 300) {
            end(answer);
            return;
        }
        setText(error, problemOf(answer));
    } catch {
        setText(error, "The gateway did not answer: whether it was done is not known.");
    }
    setHidden(error, false);
    yes.disabled = no.disabled = false;
    (byId("dialog-body").querySelector("input") || no).focus();
}

/* Asks, calls the API, and says what came of it. `action`: {title, words, button, isDanger?, method?, path, body?,
 * done(json) -> text}. */
export async function act(action, afterwards) {
    const answer = await openDialog({
        ...action,
        send: () =>
            ask(action.path, {
                method: action.method || "POST",
                body: action.body === undefined ? null : action.body,
            }),
    });
    if (!answer) return;
    say(action.done(answer.json || {}));
    afterwards();
}

/* What was done, where a screen reader hears it; it goes after a while. */
let gone = null;
export function say(text) {
    setText(byId("said"), text);
    clearTimeout(gone);
    gone = setTimeout(() => setText(byId("said"), ""), 15_000);
}

/* --- signing in */

export async function signIn(afterwards) {
    const input = make("input", {
        type: "password",
        name: "token",
        autocomplete: "current-password",
        required: true,
        spellcheck: "false",
    });
    const answer = await openDialog({
        title: "Sign in",
        words: [
            "A token of admin.tokens in the gateway's configuration. It says what you may do; the browser keeps a cookie in its place for 12 hours.",
        ],
        button: "Sign in",
        fields: [make("label", {class: "wide"}, "Token", input)],
        send: () => ask("/api/v1/session", {method: "POST", body: {token: input.value.trim()}}),
    });
    if (!answer) return;
    say(`Signed in as ${answer.json.name}: you may ${answer.json.can.join(", ")}.`);
    afterwards();
}

export async function signOut(afterwards) {
    try {
        const answer = await ask("/api/v1/session", {method: "DELETE"});
        say(answer.status === 200 ? "Signed out." : problemOf(answer));
    } catch {
        say("The gateway did not answer: you are still signed in.");
    }
    afterwards();
}
