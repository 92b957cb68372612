# SPDX-License-Identifier: Apache-2.0
"""Each file says what it is; each function that a header declares has its contract in a comment above it, or above
the group of lines it stands in."""
import os
import re

import tree

SPDX = "SPDX-License-Identifier: Apache-2.0"
OPENING_LINES = 13
DECLARATION = re.compile(r"^[A-Za-z_][\w\s*]*?\**\b(\w+)\s*\([^;{]*\)[^;{]*;", re.M | re.S)


def check_opening(path):
    """The first comment: the licence, then what the file is. A source may leave the latter to its header."""
    text = tree.read(path)
    if text.startswith(f"/* {SPDX} */\n") and os.path.exists(os.path.join(tree.ROOT, os.path.splitext(path)[0] + ".h")):
        return [] if path.endswith((".c", ".cc")) else [f"{path}:1: does not say what the file is"]
    match = re.match(r"/\* " + re.escape(SPDX) + r"\n \*\n( \* .*?)\*/", text, re.S)
    if not match:
        return [f"{path}:1: does not begin with the licence and what the file is"]
    if match.group(1).count("\n") > OPENING_LINES:
        return [f"{path}:1: what the file is takes more than {OPENING_LINES - 1} lines"]
    return []


def check_scripts():
    scripts = tree.files("tests", "bench", suffixes=(".py", "CMakeLists.txt")) + ["CMakeLists.txt", "dev", ".ci/run"]
    for path in scripts:
        head = tree.read(path).split("\n")[:2]
        if not any(SPDX in line for line in head):
            yield f"{path}:1: no licence line"


def has_comment(text, start):
    """A comment stands in the run of lines, without an empty one between, that the declaration is part of."""
    first = text.rfind("\n\n", 0, start) + 2
    last = text.find("\n\n", start)
    run = text[first:last if last >= 0 else len(text)]
    return "/*" in run or "//" in run


def check_declarations(path):
    text = tree.read(path)
    plain = tree.without_comments(text)
    # Members of structures are not declarations of functions.
    plain = re.sub(r"\{[^{}]*\}", lambda m: re.sub(r"[^\n]", " ", m.group()), plain)
    plain = re.sub(r"\{[^{}]*\}", lambda m: re.sub(r"[^\n]", " ", m.group()), plain)
    plain = re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n)*", lambda m: re.sub(r"[^\n]", " ", m.group()), plain, flags=re.M)
    for match in DECLARATION.finditer(plain):
        first = match.start() + len(match.group()) - len(match.group().lstrip())
        if match.group().startswith("typedef"):
            continue
        if not has_comment(text, first):
            yield f"{path}:{tree.line_of(text, match.start(1))}: {match.group(1)} has no contract"


def check():
    problems = []
    for path in tree.files("include", "src", "tests", "bench"):
        problems += check_opening(path)
    for path in tree.files("include", "src", suffixes=(".h",)):
        problems += check_declarations(path)
    return problems + list(check_scripts())
