# SPDX-License-Identifier: Apache-2.0
"""The scenarios. Each takes a bench (run.py) and returns rows: a dictionary for each proxy, of numbers by column."""
import contextlib
import glob
import http.client
import json
import os
import re
import statistics
import struct
import time

import proxies
import tools

IDLE_CONNECTIONS = 5000
SLOW_CONNECTIONS = 5000
PROBE = {"connections": 16, "rate": 2000}


def measure(proxy, load, seconds):
    """One turn of one proxy under load."""
    before = tools.cpu_seconds(proxy.process.pid)
    row = tools.run_load(proxy.port, load, seconds)
    user, system = (b - a for a, b in zip(before, tools.cpu_seconds(proxy.process.pid)))
    row["user_us"], row["system_us"] = user * 1e6 / row["requests"], system * 1e6 / row["requests"]
    row["cpu_us"] = row["user_us"] + row["system_us"]
    return row


def median_rows(turns):
    return {name: {key: statistics.median(turn[key] for turn in rows) for key in rows[0]}
            for name, rows in turns.items()}


def take_turns(bench, load, options, names=None):
    """Every proxy is loaded once a round, turn about, and its median over the rounds counts."""
    names = bench.names if names is None else names
    if not names:
        return {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(bench.folder())
        origin = stack.enter_context(tools.h2c_origin(folder) if options.get("h2c") else tools.origin())
        running = [stack.enter_context(proxies.running(n, folder, origin, options)) for n in names]
        turns = {proxy.name: [] for proxy in running}
        for proxy in running:
            tools.run_load(proxy.port, load, 1)  # warm: connections, caches
        for number in range(bench.rounds):
            for proxy in running[number % len(running):] + running[:number % len(running)]:
                turns[proxy.name].append(measure(proxy, load, bench.seconds))
        if options.get("log"):
            check_logs(folder, running)
    return median_rows(turns)


def check_logs(folder, running):
    """A proxy that wrote no log would win for nothing."""
    for proxy in running:
        name = "output" if proxy.name == "haproxy" else "access.log"
        size = os.path.getsize(os.path.join(folder, proxy.name, name))
        if size < 100_000:
            raise tools.BenchError(f"{proxy.name} wrote only {size} bytes of log")


def keepalive(bench):
    return take_turns(bench, {}, {})


def log(bench):
    return take_turns(bench, {}, {"log": True})


def newconn(bench):
    return take_turns(bench, {"headers": ["Connection: close"], "closes": True}, {})


def body1m(bench):
    return take_turns(bench, {"path": "/1m", "connections": 16}, {"large": True})


def settled_bytes(pid):
    """Memory once it has stopped moving."""
    last = tools.resident_bytes(pid)
    for _ in range(20):
        time.sleep(0.25)
        now = tools.resident_bytes(pid)
        if abs(now - last) < 64 * 1024:
            return now
        last = now
    return last


def idle(bench):
    """Bytes of memory that an idle keep-alive connection holds in the proxy."""
    rows = {}
    for name in bench.names:
        with tools.origin() as origin, bench.folder() as folder, proxies.running(name, folder, origin) as proxy:
            tools.wrk(proxy.port, {}, 1)
            before = settled_bytes(proxy.process.pid)
            with tools.held("bench_idle", proxy.port, IDLE_CONNECTIONS):
                grown = settled_bytes(proxy.process.pid) - before
            rows[name] = {"bytes_per_connection": grown / IDLE_CONNECTIONS}
    return rows


SCRIPT = """
local count, at, requests = %d, 0, {}
function init(args)
    for i = 0, count - 1 do
        requests[i] = wrk.format("GET", "/r" .. i .. "/x")
    end
end
function request()
    at = (at + 7919) %% count
    return requests[at]
end
"""


def routes(bench):
    """CPU a request with 10 routes and with 10,000, all of them in use."""
    rows = {name: {} for name in bench.names}
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(tools.origin())
        folder = stack.enter_context(bench.folder())
        running = {}
        for count in (10, 10000):
            script = os.path.join(folder, f"{count}.lua")
            with open(script, "w", encoding="ascii") as file:
                file.write(SCRIPT % count)
            for name in bench.names:
                here = os.path.join(folder, str(count))
                proxy = stack.enter_context(proxies.running(name, here, origin, {"routes": count}))
                running[name, count] = (proxy, {"script": script})
        for proxy, load in running.values():
            tools.wrk(proxy.port, load, 1)
        turns = {key: [] for key in running}
        for _ in range(bench.rounds):
            for key, (proxy, load) in running.items():
                turns[key].append(measure(proxy, load, bench.seconds)["cpu_us"])
        for (name, count), values in turns.items():
            rows[name][f"cpu_us_{count}"] = statistics.median(values)
    for row in rows.values():
        row["ratio"] = row["cpu_us_10000"] / row["cpu_us_10"]
    return rows


def slow(bench):
    """Latency of normal traffic, quiet and beside 5,000 clients of a byte a second."""
    rows = {}
    for name in bench.names:
        with tools.origin() as origin, bench.folder() as folder, proxies.running(name, folder, origin) as proxy:
            ask = (proxy.port, PROBE["connections"], PROBE["rate"], bench.seconds)
            tools.probe(*ask[:3], 1)
            quiet = [tools.probe(*ask) for _ in range(3)]
            before = tools.resident_bytes(proxy.process.pid)
            with tools.held("bench_slow", proxy.port, SLOW_CONNECTIONS) as said:
                beside = [tools.probe(*ask) for _ in range(3)]
                grown = tools.resident_bytes(proxy.process.pid) - before
        errors = sum(turn["errors"] for turn in quiet + beside)
        if errors:
            raise tools.BenchError(f"{name}: {errors} of the normal requests failed beside slow clients")
        p99 = [statistics.median(turn["p99_us"] for turn in turns) for turns in (quiet, beside)]
        rows[name] = {"quiet_p99_us": p99[0], "slow_p99_us": p99[1], "ratio": p99[1] / p99[0],
                      "grown_mib": grown / 2 ** 20, "ended": json.loads(said[0])["ended"]}
    return rows


def scrape(bench):
    """How long a scrape of the metrics takes with 500 routes in use, and its size. Sluice alone."""
    if "sluice" not in bench.names:
        return {}
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(tools.origin())
        folder = stack.enter_context(bench.folder())
        proxy = stack.enter_context(proxies.running("sluice", folder, origin, {"routes": 500, "named": True}))
        script = os.path.join(folder, "500.lua")
        with open(script, "w", encoding="ascii") as file:
            file.write(SCRIPT % 500)
        tools.wrk(proxy.port, {"script": script}, 1)
        took, size = [], 0
        for _ in range(20):
            start = time.monotonic()
            size = len(fetch(proxy.admin, "/metrics"))
            took.append((time.monotonic() - start) * 1e3)
    return {"sluice": {"scrape_ms": statistics.median(took), "kib": size / 1024}}


def sight(bench):
    """What a request pays for being seen: counters, the JSON log and 1 % traced, with control fetching the spans and
    sending them (to the origin, which takes anything). `count_us` is measured by itself, since it cannot be turned off."""
    if "sluice" not in bench.names:
        return {}
    ways = {"blind": {}, "seen": {"log": True, "traces": True}}
    turns = {way: [] for way in ways}
    with tools.origin() as origin, bench.folder() as folder, proxies.running("sluice", folder, origin) as proxy:
        ways["seen"]["traces"] = f"http://127.0.0.1:{origin}"
        for number in range(bench.rounds * 4):
            for way in sorted(ways, reverse=number % 2 == 1):
                proxy.change(**ways[way])
                tools.run_load(proxy.port, {}, 1)
                turns[way].append(measure(proxy, {}, max(1, bench.seconds // 2))["cpu_us"])
        told = fetch(proxy.admin, "/metrics/control").decode()
    sent = int(re.search(r"^sluice_spans_exported_total (\d+)$", told, re.M)[1])
    if sent < 1000:
        raise tools.BenchError(f"only {sent} spans were sent")
    row = {way: statistics.median(values) for way, values in turns.items()}
    count_us = statistics.median(tools.figures("bench_counters")["count_ns"] for _ in range(bench.rounds)) / 1000
    # Turn by turn: what else the machine does changes slowly.
    added = statistics.median(seen - blind for seen, blind in zip(turns["seen"], turns["blind"]))
    return {"sluice": {"blind_us": row["blind"], "seen_us": row["seen"], "count_us": count_us, "sight_us": added + count_us,
                       "note": f"{sent} spans were sent"}}


def fetch(port, path):
    """What the admin port answers."""
    admin = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    admin.request("GET", path)
    answer = admin.getresponse()
    body = answer.read()
    admin.close()
    if answer.status != 200:
        raise tools.BenchError(f"{path} answered {answer.status}")
    return body


def syscalls(bench):
    """System calls a request at saturation, of the process that serves. Connections are opened before the count."""
    rows = {}
    for name in bench.names:
        with contextlib.ExitStack() as stack:
            origin, count = stack.enter_context(tools.counting_origin())
            folder = stack.enter_context(bench.folder())
            proxy = stack.enter_context(proxies.running(name, folder, origin))
            stack.enter_context(tools.loaded(proxy.port, count, 2 * bench.seconds + 15))
            with tools.counted_calls(tools.busiest(proxy.process.pid)) as calls:
                requests = -count()
                time.sleep(2 * bench.seconds)
                requests += count()
            data = sum(n for call, n in calls.items() if call in tools.DATA_CALLS)
            often = sorted(((n / requests, call) for call, n in calls.items()), reverse=True)
            rows[name] = {"all": sum(calls.values()) / requests, "data": data / requests,
                          "note": ", ".join(f"{call} {n:.3f}" for n, call in often if n >= 0.002)}
    return rows


def count_allocations(prefix):
    total = 0
    for path in glob.glob(prefix + ".*"):
        with open(path, "rb") as file:
            content = file.read()
        total += struct.unpack("Q", content)[0] if len(content) == 8 else 0
    return total


def allocations(bench):
    """Calls of malloc and its kin a request in steady state."""
    rows = {}
    for name in bench.names:
        with tools.origin() as origin, bench.folder() as folder:
            os.chmod(folder, 0o777)
            prefix = os.path.join(folder, "count")
            env = {"LD_PRELOAD": tools.tool("libbench_malloc_count.so"), "MALLOC_COUNT": prefix}
            with proxies.running(name, folder, origin, {"env": env}) as proxy:
                tools.wrk(proxy.port, {}, 2)
                before = count_allocations(prefix)
                requests = tools.wrk(proxy.port, {}, bench.seconds)["requests"]
                rows[name] = {"allocations": (count_allocations(prefix) - before) / requests}
                if not before:
                    raise tools.BenchError(f"{name} was not counted: its environment loses LD_PRELOAD")
    return rows


def limiter_rows(bench, *arguments):
    turns = [tools.figures("bench_limiter", *arguments) for _ in range(bench.rounds)]
    return median_rows({"sluice": turns})


def limiter(bench):
    """The rate limiter's table: ns a take of one of a million keys, and of one that is asked for again and again."""
    return limiter_rows(bench)


def hotkey(bench):
    """The same with a thread a core: each on a key of its own, all on one; without and with 2 us of work between."""
    rows = limiter_rows(bench, len(tools.CORES))
    rows["sluice"]["ratio"] = rows["sluice"]["shared_work_ns"] / rows["sluice"]["own_work_ns"]
    return rows


ALL = {f.__name__: f for f in (keepalive, log, newconn, body1m, idle, routes, slow, scrape, sight, syscalls, allocations,
                               limiter, hotkey)}
