# SPDX-License-Identifier: Apache-2.0
"""What the verdict on a canary is worth: a simulation, beside rules of fixed thresholds. Like scenarios.py: takes a
bench, returns rows."""
import concurrent.futures
import itertools
import json
import subprocess

import tools

RUNS = 10_000
SEED = 1
RUNNING = len(tools.CORES)  # side by side


def row(number):
    """One of verdict.c's rows; None: there is no such row."""
    done = subprocess.run(["nice", "-n", "10", tools.tool("bench_verdict"), str(number), str(RUNS), str(SEED)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise tools.BenchError(f"bench_verdict: row {number}: {done.returncode} {done.stderr}")
    return json.loads(done.stdout) if done.stdout else None


def all_rows():
    with concurrent.futures.ThreadPoolExecutor(RUNNING) as pool:
        for first in itertools.count(0, 8 * RUNNING):
            for one in pool.map(row, range(first, first + 8 * RUNNING)):
                if one is None:
                    return
                yield one


def promise(one):
    """What is promised of a row, in words."""
    share = f"at least {one['at_least']:.0%}" if one["at_least"] else f"at most {one['at_most']:.0%}"
    if 0 < one["at_least"] < one["at_most"] < 1:
        share = f"{one['at_least']:.0%} to {one['at_most']:.0%}"
    late = [f"{words} within {one[key]:,}" for key, words in (("median_most", "half"), ("p95_most", "95 %")) if one[key]]
    return ", ".join([share, *late])


def verdict(_):
    """10,000 canaries a row (seed 1), with 5 % of the traffic, looked at after each request or each five. Share of them
    that were called bad (or, where the row says so, good, or left open), and requests of the canary until half and 95 %
    were; beside it, who would have aborted the same: Flagger (a check a minute, 99 % success, p99 of 500 ms, 5 failed
    checks) and Argo (the same, failureLimit 3), half an hour."""
    rows = {}
    for one in all_rows():
        figures = {"share_pct": 100 * one["share"], "median": one.get("median"), "p95": one.get("p95"),
                   "flagger_pct": 100 * one["flagger"], "argo_pct": 100 * one["argo"], "missed": one["missed"]}
        rows[one["name"]] = {key: value for key, value in figures.items() if value is not None}
        rows[one["name"]]["note"] = ("MISSES " if one["missed"] else "promised: ") + promise(one)
    return rows


ALL = {"verdict": verdict}
