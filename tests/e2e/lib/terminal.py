# SPDX-License-Identifier: Apache-2.0
"""A program in a terminal of its own: what is typed, and what is to be seen on its screen."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios

from .wait import DEADLINE, until


class Terminal:
    """Understands what line-wise programs write: text, CR, LF, cursor up, and erasing to the end of line or screen."""

    def __init__(self, command, env=None, columns=100):
        self.main, self.side = pty.openpty()
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.columns, self.lines, self.row, self.column = columns, [""], 0, 0
        self.pending = ""
        self.process = subprocess.Popen(
            command, stdin=self.side, stdout=self.side, stderr=self.side, env={**os.environ, **(env or {}), "TERM": "xterm"},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def type(self, keys):
        os.write(self.main, keys.encode())

    def _put(self, char):
        if self.column == self.columns:
            self._down()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
        self.column += 1

    def _down(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def _obey(self, count, letter):
        if letter == "A":
            self.row = max(0, self.row - int(count or 1))
        elif letter in "JK":
            self.lines[self.row] = self.lines[self.row][: self.column]
            if letter == "J":
                del self.lines[self.row + 1 :]
        else:
            raise AssertionError(f"the terminal does not know {count}{letter}")

    def _take(self, text):
        self.pending += text
        while self.pending:
            found = re.match(r"\x1b\[(\d*)([A-Za-z])", self.pending)
            if found:
                self._obey(*found.groups())
                self.pending = self.pending[found.end() :]
                continue
            char = self.pending[0]
            if char == "\x1b":
                assert len(self.pending) < 16, repr(self.pending)
                return  # the rest of it comes
            self.pending = self.pending[1:]
            if char == "\r":
                self.column = 0
            elif char == "\n":
                self._down()
            else:
                self._put(char)

    def screen(self):
        while select.select([self.main], [], [], 0)[0]:
            try:
                self._take(os.read(self.main, 65536).decode(errors="replace"))
            except OSError:
                break
        return "\n".join(self.lines)

    def wait(self, pattern, timeout=3 * DEADLINE):
        until(lambda: re.search(pattern, self.screen()), pattern, timeout, self.screen)

    def echoes(self):
        """Whether it is left as a shell wants it."""
        flags = termios.tcgetattr(self.side)[3]
        return flags & termios.ECHO and flags & termios.ICANON

    def end(self, timeout=DEADLINE):
        """Waits for the program's end; its exit status."""
        until(lambda: self.screen() and self.process.poll() is not None, "the end", timeout, self.screen)
        self.screen()
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.main)
        os.close(self.side)
