# SPDX-License-Identifier: Apache-2.0
"""A program that draws on a whole screen, in a pseudo-terminal of its own; pyte is the terminal."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

import pyte

from .wait import DEADLINE, until


class Screen:
    def __init__(self, command, env=None, columns=100, lines=30, cwd=None):
        self.main, self.side = pty.openpty()
        self.raw = b""  # all that was written
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self._set_size(columns, lines)
        self.before = termios.tcgetattr(self.side)
        self.process = subprocess.Popen(
            command, stdin=self.side, stdout=self.side, stderr=subprocess.PIPE, cwd=cwd,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def _set_size(self, columns, lines):
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns, lines):
        self.look()
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)  # which sends SIGWINCH

    def type(self, keys):
        os.write(self.main, keys.encode())

    def signal(self, number):
        os.kill(self.process.pid, number)

    def look(self):
        """The lines that are seen now."""
        while select.select([self.main], [], [], 0)[0]:
            try:
                data = os.read(self.main, 65536)
            except OSError:
                break
            self.raw += data
            self.stream.feed(data)
        return self.screen.display

    def text(self):
        return "\n".join(line.rstrip() for line in self.look())

    def wait(self, pattern, timeout=2 * DEADLINE):
        """The match, once the text is to be seen."""
        return until(lambda: re.search(pattern, self.text(), re.M), pattern, timeout, self.text)

    def row(self, name):
        """The words of the line that begins with a name; None while there is none."""
        return next((line.split() for line in self.look() if line.split()[:1] == [name]), None)

    def names(self, *of):
        """Those of these names that begin a line, from the top."""
        return [words[0] for words in map(str.split, self.look()) if words and words[0] in of]

    def end(self, timeout=DEADLINE):
        """Waits for the program's end; its exit status."""
        until(lambda: self.look() and self.process.poll() is not None, "the end", timeout, self.text)
        self.look()
        self.check()
        return self.process.returncode

    def check(self):
        error = self.process.stderr.read().decode(errors="replace") if self.process.poll() is not None else ""
        assert "Sanitizer" not in error and "runtime error" not in error, error

    def is_as_before(self):
        return termios.tcgetattr(self.side) == self.before

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.process.stderr.close()
        for fd in (self.main, self.side):
            if fd is not None:
                os.close(fd)
