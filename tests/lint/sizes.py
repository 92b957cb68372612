# SPDX-License-Identifier: Apache-2.0
"""How long, how wide and how deep code may be. There is no list of exceptions."""
import re
import subprocess

import statements
import tree

FUNCTION_LINES = 60
COMPLEXITY = 15
PARAMETERS = 5
CALLBACK_PARAMETERS = 8  # of [x_]on_...(), whose shape is fixed by one of these libraries
LIBRARIES = re.compile(r"^#include <(?:openssl|nghttp2)/", re.M)
CALLBACK = re.compile(r"(\w+_)?on_")
NESTING = 3
FILE_LINES = {".c": 600, ".cc": 100, ".py": 600, ".h": 150, ".js": 600, ".css": 600, ".html": 600}
FOLDERS = ("include", "src", "tests", "bench")


def check_lengths():
    for suffix, limit in FILE_LINES.items():
        for path in tree.files(*FOLDERS, suffixes=(suffix,)):
            lines = tree.read(path).count("\n")
            if lines > limit:
                yield f"{path}: {lines} lines, {limit} are allowed"


def check_shapes():
    for path in tree.files(*FOLDERS):
        text = tree.read(path)
        has_callbacks = bool(LIBRARIES.search(text))
        for function in statements.functions(text):
            where = f"{path}:{function.line}: {function.name}"
            allowed = CALLBACK_PARAMETERS if has_callbacks and CALLBACK.match(function.name) else PARAMETERS
            if function.parameters > allowed:
                yield f"{where} has {function.parameters} parameters, {allowed} are allowed"
            if function.nesting > NESTING:
                yield f"{where} nests {function.nesting} deep, {NESTING} is allowed"


def check_functions():
    sources = tree.files(*FOLDERS, suffixes=(".c",))
    run = subprocess.run(["pmccabe", *sources], cwd=tree.ROOT, capture_output=True, text=True, check=False)
    if run.returncode:
        yield f"pmccabe: {run.stderr.strip() or run.stdout.strip()}"
    for line in run.stdout.splitlines():
        fields = line.split("\t")
        complexity, lines, where = int(fields[0]), int(fields[4]), fields[5]
        if complexity > COMPLEXITY:
            yield f"{where}: complexity {complexity}, {COMPLEXITY} is allowed"
        if lines > FUNCTION_LINES:
            yield f"{where}: {lines} lines, {FUNCTION_LINES} are allowed"


def check():
    return [*check_lengths(), *check_shapes(), *check_functions()]
