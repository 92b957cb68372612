# SPDX-License-Identifier: Apache-2.0
"""C is formatted as .clang-format says; shell scripts pass shellcheck."""
import subprocess

import tree


SHELL = ["dev", ".ci/run"]


def sources():
    return tree.files("include", "src", "tests", "bench")


def run(*command):
    return subprocess.run(command, cwd=tree.ROOT, capture_output=True, text=True, check=False)


def check():
    done = run("clang-format-14", "--dry-run", "-Werror", *sources())
    wrong = {}
    for line in done.stderr.splitlines():
        if ": error:" in line:
            path, number = line.split(":")[:2]
            wrong.setdefault(path, number)
    problems = [f"{path}:{number}: not as .clang-format says (./dev lint --fix)" for path, number in wrong.items()]
    if done.returncode and not problems:
        problems.append(done.stderr.strip())
    return problems + run("shellcheck", *SHELL).stdout.splitlines()


def fix():
    run("clang-format-14", "-i", *sources())
