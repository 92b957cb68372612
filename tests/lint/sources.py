# SPDX-License-Identifier: Apache-2.0
"""CMakeLists.txt lists each source of src/ exactly once, in the order of the layers."""
import os
import re

import tree

BLOCK = re.compile(r"(?<=# sources begin)([^\n]*\n)(.*?)(?=    # sources end)", re.S)


def wanted():
    found = [p for p in tree.files("src", suffixes=(".c", ".cc")) if p != "src/main.c"]
    return sorted(found, key=lambda p: (tree.layer(p) or 0, os.path.dirname(p), p))


def check():
    listed, there = BLOCK.search(tree.read("CMakeLists.txt")).group(2).split(), wanted()
    problems = [f"CMakeLists.txt: {p} is listed {listed.count(p)} times"
                for p in sorted(set(listed)) if listed.count(p) > 1]
    problems += [f"CMakeLists.txt: {p} is not listed" for p in there if p not in listed]
    problems += [f"CMakeLists.txt: {p} does not exist" for p in listed if p not in there]
    if not problems and listed != there:
        problems.append("CMakeLists.txt: sources are not in the order of the layers "
                        "(./dev lint --fix)")
    return problems


def write():
    text = tree.read("CMakeLists.txt")
    lines = "".join(f"    {p}\n" for p in wanted())
    with open(os.path.join(tree.ROOT, "CMakeLists.txt"), "w", encoding="utf-8") as file:
        file.write(BLOCK.sub(lambda m: m.group(1) + lines, text))

