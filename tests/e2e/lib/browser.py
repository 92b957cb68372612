# SPDX-License-Identifier: Apache-2.0
"""A real browser, without a window and with a profile of its own: `browse` opens a page and leaves it alone, `pages` gives
one that is driven by the DevTools protocol over a pipe, with real strokes of keys and of the mouse."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import threading

import pytest

from .wait import DEADLINE, until

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors"]
LONG = 6 * DEADLINE  # for a browser that starts on a busy machine
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "ArrowDown": 40, "ArrowUp": 38}


def launch(home, number, *more, **options):
    profile = os.path.join(home, f"profile{number}")
    return subprocess.Popen(["chromium", *FLAGS, f"--user-data-dir={profile}", *more], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env={**os.environ, "HOME": home}, start_new_session=True, **options)


def end(home, opened):
    for browser in opened:
        os.killpg(browser.pid, 9)
        browser.wait()
    for n in range(len(opened)):
        shutil.rmtree(os.path.join(home, f"profile{n}"), ignore_errors=True)


@pytest.fixture
def browse(home):
    """Opens a page in a browser of its own until the test ends."""
    opened = []
    yield lambda url: opened.append(launch(home, len(opened), "--remote-debugging-port=0", url))
    end(home, opened)


@pytest.fixture
def pages(home):
    """Opens pages that can be driven, all in one browser: pages(url)."""
    opened = []

    def open_page(url, **options):
        if not opened:
            opened.append(Driven(home))
        return Page(opened[0], url, **options)

    yield open_page
    for driven in opened:
        driven.close()
    end(home, [driven.process for driven in opened])


class Driven:
    """The browser's end of the protocol: commands and their answers, and events by session."""

    def __init__(self, home):
        theirs, self.mine = os.pipe()
        read, write = os.pipe()

        def give():  # the protocol is read from 3 and written to 4
            pair = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs, write)]
            for place, fd in zip((3, 4), pair, strict=True):
                os.dup2(fd, place)

        self.process = launch(home, 0, "--remote-debugging-pipe", "about:blank", preexec_fn=give, close_fds=False)
        os.close(theirs)
        os.close(write)
        self.reader = os.fdopen(read, "rb")
        self.changed = threading.Condition()
        self.answers, self.listeners, self.number = {}, {}, 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while chunk := self.reader.read1(1 << 16):
            *messages, rest = (rest + chunk).split(b"\0")
            for message in map(json.loads, messages):
                self._take(message)

    def _take(self, message):
        if "id" in message:
            with self.changed:
                self.answers[message["id"]] = message
                self.changed.notify_all()
        elif listener := self.listeners.get(message.get("sessionId")):
            listener(message["method"], message["params"])

    def post(self, method, session=None, **params):
        """Sends a command without waiting for its answer; its number."""
        with self.changed:
            self.number += 1
            number = self.number
            message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
            data = json.dumps(message).encode() + b"\0"
            while data:
                data = data[os.write(self.mine, data):]
        return number

    def call(self, method, session=None, **params):
        number = self.post(method, session, **params)
        with self.changed:
            assert self.changed.wait_for(lambda: number in self.answers, LONG), f"no answer to {method}"
            answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def close(self):
        os.close(self.mine)


class Page:
    """One page. `faults` gathers what its console says is wrong: exceptions, errors, what a policy forbade."""

    def __init__(self, driven, url, width=1440, height=1000, theme="light"):
        self.driven, self.faults, self.answered, self.rewrites = driven, [], [], {}
        target = driven.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = driven.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        driven.listeners[self.session] = self._hear
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.size(width, height)
        self.theme(theme)
        self.open(url)

    def call(self, method, **params):
        return self.driven.call(method, self.session, **params)

    def _hear(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.faults.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.faults.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error" and params["entry"]["source"] != "network":
            self.faults.append(params["entry"]["text"])
        elif method == "Network.responseReceived":
            self.answered.append((params["response"]["status"], params["response"]["url"]))
        elif method == "Fetch.requestPaused":
            self._rewrite(params)

    # -- the page

    def open(self, url):
        self.call("Page.navigate", url=url)
        until(lambda: self.js("document.readyState") == "complete" and self.js("location.href") == url, f"{url} is loaded", LONG)

    def size(self, width, height=1000):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # what observes sizes has run

    def theme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def js(self, expression):
        """What an expression comes to, awaited; None while one page gives way to the next."""
        try:
            done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        except AssertionError as error:
            if "context" in str(error) or "navigated" in str(error):
                return None
            raise
        assert "exceptionDetails" not in done, (expression, done["exceptionDetails"])
        return done["result"].get("value")

    def text(self, selector="body"):
        """What is seen of it; empty where it is not there."""
        return self.js(f"(document.querySelector({json.dumps(selector)}) || {{}}).innerText || ''") or ""

    def wait_text(self, words, selector="body", timeout=LONG):
        """Until `words` (a text, or a check of the whole) are seen."""
        check = words if callable(words) else lambda text: words in text
        until(lambda: check(self.text(selector)), f"{words} in {selector}", timeout,
              lambda: f"{self.text(selector)[:3000]}\nfaults: {self.faults}")

    def is_seen(self, selector):
        return self.js(f"Boolean(document.querySelector({json.dumps(selector)})?.checkVisibility())")

    def wait_seen(self, selector, is_seen=True):
        until(lambda: self.is_seen(selector) == is_seen, f"{selector} is seen: {is_seen}", LONG, lambda: self.text()[:3000])

    # -- the person

    def click(self, selector):
        """A real click into its middle, once it is there and stands still; again, if it moved away under the mouse."""
        place = """(async () => {
            const find = () => document.querySelector(%s), where = e => { const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; };
            const first = find();
            if (!first || !first.checkVisibility() || first.disabled)
                return null;
            first.scrollIntoView({block: 'center'});
            const was = where(first);
            await new Promise(done => setTimeout(done, 100));
            const now = find(), is = now ? where(now) : [], hit = now && document.elementFromPoint(...is);
            if (now !== first || is[0] !== was[0] || is[1] !== was[1] || !(hit === now || now.contains(hit)))
                return null;
            window.wasHit = false;
            now.addEventListener('click', () => { window.wasHit = true; }, {once: true, capture: true});
            return is;
        })()""" % json.dumps(selector)
        for _ in range(3):
            x, y = until(lambda: self.js(place), f"{selector} to click on", LONG, lambda: self.text()[:3000])
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
            if self.js("window.wasHit") is not False:  # None: another page by now
                return
        raise AssertionError(f"{selector} moves away")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def key(self, name, shift=False):
        keys = {"key": name, "code": {" ": "Space"}.get(name, name), "windowsVirtualKeyCode": KEYS[name], "modifiers": 8 if shift else 0}
        text = {"Enter": "\r", " ": " "}.get(name)
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **keys, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **keys)

    def focused(self):
        """What the focus is on, by what a screen reader calls it."""
        return self.js("(e => e.getAttribute('aria-label') || e.innerText || e.id || e.tagName)(document.activeElement)")

    def tab_to(self, name, most=400):
        """Strokes of Tab until something of that name has the focus."""
        for _ in range(most):
            self.key("Tab")
            if self.focused() == name:
                return
        raise AssertionError(f"nothing named {name!r} is reached by Tab")

    # -- what comes between

    def rewrite(self, pattern, change):
        """Answers to that URL pattern become what `change` makes of their JSON."""
        self.rewrites[pattern] = change
        self.call("Fetch.enable", patterns=[{"urlPattern": p, "requestStage": "Response"} for p in self.rewrites])

    def leave_as_is(self):
        """No answer is rewritten any more; those that are held go on."""
        self.rewrites = {}
        self.call("Fetch.disable")

    def _rewrite(self, params):
        threading.Thread(target=self._fulfil, args=(params,), daemon=True).start()

    def _fulfil(self, params):
        try:
            self._fulfil_by(*self.rewrites.values(), params)
        except (AssertionError, TypeError):
            if self.rewrites:  # else it went on by itself meanwhile
                raise

    def _fulfil_by(self, change, params):
        got = self.call("Fetch.getResponseBody", requestId=params["requestId"])
        body = base64.b64decode(got["body"]).decode() if got["base64Encoded"] else got["body"]
        self.call("Fetch.fulfillRequest", requestId=params["requestId"], responseCode=params["responseStatusCode"],
                  responseHeaders=[h for h in params["responseHeaders"] if h["name"].lower() != "content-length"],
                  body=base64.b64encode(json.dumps(change(json.loads(body))).encode()).decode())

    def hide(self, is_hidden):
        """As a tab in the background is, or is again in front."""
        state = "hidden" if is_hidden else "visible"
        self.js(f"Object.defineProperty(document, 'hidden', {{configurable: true, get: () => {json.dumps(is_hidden)}}});"
                f"Object.defineProperty(document, 'visibilityState', {{configurable: true, get: () => '{state}'}});"
                "document.dispatchEvent(new Event('visibilitychange'))")

    def screenshot(self, path, whole=True):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": self._all()} if whole else {}))["data"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def _all(self):
        box = self.call("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": box["width"], "height": min(box["height"], 8000), "scale": 1}
