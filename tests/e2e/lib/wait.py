# SPDX-License-Identifier: Apache-2.0
"""Bounded waits on events. Every wait has a deadline that grows with SLUICE_SLOW (sanitizer builds)."""

import os
import threading
import time

SLOW = float(os.environ.get("SLUICE_SLOW", "1"))
DEADLINE = 8.0 * SLOW  # seconds until a wait for something that should happen has failed
QUIET = 0.3 * SLOW  # seconds in which something that must not happen would have happened


def ms(value):
    """A duration for a config file, stretched for slow builds."""
    return f"{int(value * SLOW)}ms"


def until(check, what, timeout=DEADLINE, more=None):
    """Calls `check` until it returns something true, and returns that; `more` is asked when it never does."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {timeout:.1f} s: {what}{'; ' + more() if more else ''}")
        pause.wait(0.01)


def stays(check, what, seconds=QUIET):
    """Fails if `check` stops being true within `seconds`."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while time.monotonic() < end:
        assert check(), f"did not stay so: {what}"
        pause.wait(0.01)


class Stopwatch:
    """Measures a `with` block: .seconds."""

    def __enter__(self):
        self.start = time.monotonic()
        self.seconds = 0.0
        return self

    def __exit__(self, *_):
        self.seconds = time.monotonic() - self.start
