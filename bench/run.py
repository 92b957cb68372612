# SPDX-License-Identifier: Apache-2.0
"""`./dev bench`: compares Sluice with Debian's nginx, HAProxy and, over TLS, nghttpx on the same origin and load. One
worker each on one core; the origin and the load on another; turn about, medians. `--check` fails on the marks below."""
import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile

import policies
import proxies
import ready
import scenarios
import secure
import tools
import verdicts
import wakes

ALL = {**scenarios.ALL, **policies.ALL, **secure.ALL, **ready.ALL, **verdicts.ALL, **wakes.ALL}


def against_nginx(rows):
    return rows["sluice"]["cpu_us"] / rows["nginx"]["cpu_us"]


def against_best(rows):
    if len(rows) < 2:
        raise KeyError("a peer")
    column = next(iter(c for c in RATIO_OF if c in rows["sluice"]))
    return rows["sluice"][column] / min(row[column] for name, row in rows.items() if name != "sluice")


# scenario: (what must hold of sluice, in words; its value; the most it may be; what is aimed at)
MARKS = {
    "keepalive": ("CPU a request, of nginx's", against_nginx, 1.0, 0.84),
    "log": ("CPU a request with the JSON log on, of nginx's", against_nginx, 1.0, 0.84),
    "features": ("CPU a request with limit, CORS, log and request id, of the best peer's", against_best, 1.0, 0.84),
    "newconn": ("CPU a request on a new connection, of nginx's", against_nginx, None, 0.84),
    "body1m": ("CPU for 1 MiB, of nginx's", against_nginx, 1.0, 0.67),
    "routes": ("CPU with 10,000 routes, of that with 10", lambda rows: rows["sluice"]["ratio"], 1.1, 1.0),
    "slow": ("p99 beside 5,000 slow clients, of the quiet one", lambda rows: rows["sluice"]["ratio"], 2.0, 1.0),
    "tls": ("CPU a request over TLS, of the best peer's", against_best, 1.0, 0.87),
    "h2": ("CPU a request over HTTP/2, of the best peer's", against_best, 1.0, 0.81),
    "h2c-upstream": ("CPU a request over HTTP/2 on both sides, of the best peer's", against_best, 1.0, 1.0),
    "tls-1m": ("CPU for 1 MiB over TLS, of the best peer's", against_best, 1.0, 0.9),
    "handshake": ("CPU a full handshake and a request, of the best peer's", against_best, 1.0, 1.0),
    "resume": ("CPU a resumption and a request, of the best peer's", against_best, 1.0, 1.0),
    "idle-tls": ("bytes an idle TLS connection, of the best peer's", against_best, None, 1.0),
    "idle-h2": ("bytes an idle HTTP/2 connection, of the best peer's", against_best, None, 1.0),
    "ready": ("milliseconds until a target that came up is used", lambda rows: rows["sluice"]["median_ms"], 400, 150),
    "wake": ("milliseconds that waking adds to an app's boot, of the median's 30 and the p95's 50 the worse share",
             lambda rows: max(rows["sluice"]["median_ms"] / 30, rows["sluice"]["p95_ms"] / 50), 1.0, 0.8),
    "syscalls": ("system calls a request", lambda rows: rows["sluice"]["all"], 4.3, 4.1),
    "limiter": ("ns to count a cold key among a million", lambda rows: rows["sluice"]["cold_ns"], 150, 100),
    "scrape": ("milliseconds of a scrape with 500 routes", lambda rows: rows["sluice"]["scrape_ms"], 20, 10),
    "sight": ("microseconds a request for metrics, log and 1 % traced", lambda rows: rows["sluice"]["sight_us"], None, 0.4),
    "hotkey": ("2 us of work and a take, all on one key, of a key each", lambda rows: rows["sluice"]["ratio"], 1.1, 1.0),
    "verdict": ("rows of the verdict's simulation that miss what is promised",
                lambda rows: sum(row["missed"] for row in rows.values()), 0, 0),
    "allocations": ("allocations a request", lambda rows: rows["sluice"]["allocations"], 0.01, 0.0),
}

FORMATS = {"per_second": "{:,.0f}", "bytes_per_connection": "{:,.0f}", "requests": "{:,.0f}", "ended": "{:,.0f}",
           "allocations": "{:.4f}", "p50_ms": "{:.3f}", "p99_ms": "{:.3f}", "mean_ms": "{:.3f}",
           "deviation_ms": "{:.3f}", "median": "{:,.0f}", "p95": "{:,.0f}", "missed": "{:.0f}"}
RATIO_OF = ("cpu_us", "bytes_per_connection", "cpu_us_10", "all")


class Bench:
    def __init__(self, arguments):
        self.rounds, self.seconds = arguments.rounds, arguments.seconds
        self.all_names = [n for n in proxies.present() if n in arguments.proxies.split(",")]
        self.names = [n for n in self.all_names if n in proxies.PLAIN]

    @contextlib.contextmanager
    def folder(self):
        with tempfile.TemporaryDirectory(prefix="sluice-bench-") as path:
            os.chmod(path, 0o755)
            yield path


def print_table(name, rows):
    columns = list(dict.fromkeys(key for row in rows.values() for key in row if key not in ("requests", "note")))
    ratio = next((c for c in RATIO_OF if c in columns), None)
    peers = [p for p in rows if p != "sluice"] if ratio else []
    print(f"\n{name}: {' '.join((ALL[name].__doc__ or '').split())}".rstrip(": "))
    width = max(14, *(len(proxy) + 2 for proxy in rows))
    print("  " + f"{'':{width}}" + "".join(f"{c:>22}" for c in columns) + "".join(f"{'of ' + p + chr(39) + 's':>14}" for p in peers))
    for proxy, row in rows.items():
        cells = [FORMATS.get(c, "{:.2f}").format(row[c]) if c in row else "-" for c in columns]
        ratios = [f"{row[ratio] / rows[p][ratio]:.2f}" if rows[p][ratio] else "-" for p in peers]
        print("  " + f"{proxy:{width}}" + "".join(f"{c:>22}" for c in cells) + "".join(f"{r:>14}" for r in ratios),
              flush=True)
    for proxy, row in rows.items():
        if "note" in row:
            print(f"  {proxy}: {row['note']}")


def check(results):
    """Prints each mark, and says whether all hold."""
    good = True
    print("\nmarks")
    for name, (words, value, limit, aim) in MARKS.items():
        if name not in results:
            continue
        try:
            now = value(results[name])
        except KeyError as missing:
            print(f"  {'not measured':14}{words}: no {missing}")
            good = good and limit is None
            continue
        holds = limit is None or now <= limit
        verdict = "ok" if holds else "FAILED"
        bound = f"at most {limit}, " if limit is not None else ""
        print(f"  {verdict:14}{words}: {now:.3f} ({bound}aim {aim})")
        good = good and holds
    return good


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a mark is missed")
    parser.add_argument("--only", metavar="NAME,...", action="append", help=f"of {', '.join(ALL)}")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each proxy (5)")
    parser.add_argument("--seconds", type=int, default=4, help="of each turn (4)")
    parser.add_argument("--proxies", default=",".join(proxies.ORDER), help="to compare (all)")
    parser.add_argument("--json", metavar="FILE", help="also write the numbers there")
    parsed = parser.parse_args()
    parsed.only = ",".join(parsed.only).split(",") if parsed.only else list(ALL)
    unknown = [n for n in parsed.only if n not in ALL]
    if unknown:
        parser.error(f"no scenario named {unknown[0]}")
    return parsed


def build_tools():
    built = subprocess.run(["cmake", "--build", tools.BUILD, "--target", "bench_tools"], stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode:
        sys.exit(built.stdout)


def main():
    chosen = arguments()
    bench = Bench(chosen)
    build_tools()
    tools.raise_files()
    versions = {name: proxies.KINDS[name].version() for name in bench.all_names}
    print("compared: " + ", ".join(f"{n} {v}" for n, v in versions.items()))
    print(f"one worker each on core {tools.PROXY_CORE}, origin and load on core {tools.LOAD_CORE}; "
          f"median of {bench.rounds} turns of {bench.seconds} s; cpu_us is user and system time a request")
    results, failed = {}, []
    for name in chosen.only:
        try:
            results[name] = ALL[name](bench)
            print_table(name, results[name])
        except tools.BenchError as error:
            print(f"\n{name}: {error}")
            failed.append(name)
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:
            json.dump({"versions": versions, "results": results}, file, indent=2)
    good = check(results) if chosen.check else True
    if failed:
        print(f"could not be measured: {', '.join(failed)}")
    return 0 if good and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
