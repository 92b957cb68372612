# SPDX-License-Identifier: Apache-2.0
"""What an object exports is named after its file or its folder, and nothing in the program's data can be
written: read from the objects of the release build."""
import os
import re
import subprocess

import tree

OBJECTS = os.path.join(os.environ.get("SLUICE_BUILD", os.path.join(tree.ROOT, "build/release")), "CMakeFiles")
LINE = re.compile(r"^[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+ (?:\.hidden )?(\S+)$")

# Nouns that a folder's files share beside their own.
FOLDER_NOUNS = {
    "src/base": ["budget"],
    "src/config": ["conf"],
    "src/http": ["h1", "chunked"],
    "src/edge/balance": ["balancer"],
    "src/edge/filter": ["filter"],
    "src/edge/route": ["route"],
    "src/edge/metric": ["stat"],
    "src/edge": ["rules"],
    "src/cli": ["cli"],
}


def nouns(path):
    folder, stem = os.path.dirname(path), os.path.splitext(os.path.basename(path))[0]
    words = stem.split("_")
    found = {"_".join(words[:n]) for n in range(1, len(words) + 1)}
    found |= {os.path.basename(folder), *FOLDER_NOUNS.get(folder, [])}
    return found | {f"{n}s" for n in found} | {n[:-1] for n in found if n.endswith("s")}


def object_of(path):
    return os.path.join(OBJECTS, "sluice.dir" if path == "src/main.c" else "core.dir", path + ".o")


def symbols(path):
    """(is it global, its section, its name, its kind) of each symbol of a source's object."""
    name = object_of(path)
    run = subprocess.run(["objdump", "-t", name], capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        match = LINE.match(line)
        if match:
            flags, section, symbol = match.groups()
            yield flags[0] in "gu!", section, symbol, flags[6]


def is_writable(section):
    if section.startswith((".data.rel.ro", ".gnu.lto")):
        return False  # constants that hold addresses: read-only once the program runs
    return section == "*COM*" or section.startswith((".data", ".bss", ".tdata", ".tbss"))


def check_file(path):
    if not os.path.exists(object_of(path)):
        yield f"{path}: is not in the release build (./dev build)"
        return
    own = nouns(path)
    for is_global, section, name, kind in symbols(path):
        if kind in "FO" and is_writable(section):
            yield f"{path}: {name} can be written ({section}): state belongs to an owner"
        if is_global and kind in "FO" and section != "*UND*" and path != "src/main.c":
            if not any(name == n or name.startswith(n + "_") for n in own):
                yield f"{path}: {name} is not named after its file"


def check():
    if not os.path.isdir(OBJECTS):
        return ["there is no release build to read (./dev build)"]
    return [problem for path in tree.files("src", suffixes=(".c",)) for problem in check_file(path)]
