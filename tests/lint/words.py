# SPDX-License-Identifier: Apache-2.0
"""Words that do not belong in the tree: notes to self, switched-off code, paths of one machine, waiting by the clock."""
import re

import tree

CODE = ("include", "src", "bench", "tests")
NOTES = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|^\s*#\s*if\s+0\b")
PATHS = re.compile(r"/(?:work|tmp|home|root)/\w")
SLEEPS = re.compile(r"(?<![\w.])(?:time\.|asyncio\.)?(?:u|nano)?sleep\s*\(")
TAG = "wait:"  # a line that says what it waits for, where there is no event


def scan(paths, pattern, why, spared=None):
    for path in paths:
        for number, line in enumerate(tree.read(path).split("\n"), 1):
            if pattern.search(line) and not (spared and spared in line):
                yield f"{path}:{number}: {why}: {line.strip()[:80]}"


def check():
    code = tree.files(*CODE, suffixes=(".c", ".h", ".def", ".py", ".sh", ".txt"))
    scripts = ["dev", ".ci/run", "CMakeLists.txt", "CMakePresets.json", "README.md"]
    product = [p for p in code if p.startswith(("src/", "include/"))] + scripts
    tests = [p for p in code if p.startswith("tests/")]
    return [*scan(code + scripts, NOTES, "a note to self or switched-off code"),
            *scan(product, PATHS, "a path of one machine"),
            *scan(tests, SLEEPS, "waits by the clock", spared=TAG)]
