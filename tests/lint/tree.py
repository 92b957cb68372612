# SPDX-License-Identifier: Apache-2.0
"""What all checks share: which files there are, and in which layer of the design each stands."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIP = {".git", "build", "state", "__pycache__", ".pytest_cache", "malformed", "corpus"}

# Lowest first: a file includes only what stands in a lower row, or in its own. A row is a folder, or a file
# without its suffix; the longest that fits counts. Sources are listed in CMakeLists.txt in the same order.
LAYERS = [
    ["src/base"],
    ["src/config"],
    ["src/http"],
    ["src/tls"],
    ["src/process"],
    ["src/rest"],
    ["src/edge/metric"],
    ["src/edge/route", "src/edge/balance"],
    ["src/edge/tls"],
    ["src/edge/loop", "src/edge/conn", "src/edge/mailbox"],
    ["src/edge/upstream"],
    ["src/edge/limit", "src/edge/auth", "src/edge/shape", "src/edge/access", "src/edge/script", "src/edge/validate"],
    ["src/edge/filter"],
    ["src/edge/trust", "src/edge/proxy_protocol", "src/edge/found", "src/edge/registry", "src/edge/split", "src/edge/release",
     "src/edge/service", "src/edge/snapshot"],
    ["src/edge/exchange", "src/edge/errand", "src/edge/sample", "src/edge/client"],
    ["src/edge/listener", "src/edge/worker"],
    ["src/edge/manager"],
    ["src/edge"],
    ["src/control"],
    ["src/cli"],
    ["src/main"],
]


def files(*folders, suffixes=(".c", ".cc", ".h")):
    """Paths relative to the root, sorted; suffix "" takes all."""
    found = []
    for folder in folders:
        for here, subfolders, names in os.walk(os.path.join(ROOT, folder)):
            subfolders[:] = sorted(d for d in subfolders if d not in SKIP)
            found += [os.path.relpath(os.path.join(here, n), ROOT) for n in names
                      if n.endswith(tuple(suffixes))]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def layer(path):
    """Row of LAYERS that a source or a header is in; None outside them."""
    best, rank = "", None
    stem = os.path.splitext(path)[0]
    for row, places in enumerate(LAYERS):
        for place in places:
            fits = stem == place or stem.startswith((place + "/", place + "_"))
            if fits and len(place) > len(best):
                best, rank = place, row
    return rank


def without_comments(text):
    """The same text with comments and the insides of literals blanked; lines keep their numbers."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        piece = match.group()
        if piece[0] in "\"'":
            return piece[0] + " " * (len(piece) - 2) + piece[0]
        return re.sub(r"[^\n]", " ", piece)
    return pattern.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
