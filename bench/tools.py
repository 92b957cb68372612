# SPDX-License-Identifier: Apache-2.0
"""What measures: the origin, the load generator and the small C tools, all on the second core; and the CPU time,
memory, system calls and allocations of the processes on the first."""
import contextlib
import glob
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("SLUICE_BUILD", os.path.join(ROOT, "build/release"))
TICKS = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE, LOAD_CORE = CORES[0], CORES[-1 if len(CORES) == 1 else 1]
DATA_CALLS = {"read", "readv", "recvfrom", "recvmsg", "recv", "write", "writev", "sendto", "sendmsg", "send",
              "splice", "sendfile", "pread64", "pwrite64"}


class BenchError(Exception):
    pass


def tool(name):
    return os.path.join(BUILD, "bench", name)


def raise_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def spawn(cores, command, **options):
    """A child pinned to cores, in a process group of its own."""
    def prepare():
        os.sched_setaffinity(0, cores)
        raise_files()
    return subprocess.Popen(command, preexec_fn=prepare, process_group=0, **options)


def stop(process, sign=signal.SIGTERM, patience=10):
    """Ends a child of ours and all of its group."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(sign)
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        pass
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextlib.contextmanager
def counting_origin():
    """The port of a running origin, and a function that asks how many requests have come to it."""
    process = spawn({LOAD_CORE}, [tool("bench_origin")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def count():
        process.stdin.write("?")
        process.stdin.flush()
        return int(process.stdout.readline())

    try:
        yield int(process.stdout.readline()), count
    finally:
        process.stdin.close()
        stop(process)


@contextlib.contextmanager
def origin():
    """The port of a running origin."""
    with counting_origin() as (port, _):
        yield port


@contextlib.contextmanager
def h2c_origin(folder):
    """The port of an origin that speaks HTTP/2 without TLS and answers 1 KiB: nghttpd, from a folder of its own."""
    root = os.path.join(folder, "h2c")
    os.makedirs(root)
    with open(os.path.join(root, "index.html"), "w", encoding="ascii") as page:
        page.write("x" * 1024)
    port = free_port()
    process = spawn({LOAD_CORE}, ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-m", "1000", "-d", root, str(port)],
                    stdout=subprocess.DEVNULL)
    try:
        await_port(port, process)
        yield port
    finally:
        stop(process)


def make_certificate(folder):
    """A new ECDSA P-256 certificate for `bench` in a new folder, which is returned: cert.pem, key.pem, and both.pem."""
    path = os.path.join(folder, "certificate")
    os.makedirs(path)
    cert, key = os.path.join(path, "cert.pem"), os.path.join(path, "key.pem")
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                           "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=bench",
                           "-addext", "subjectAltName=DNS:bench"], capture_output=True, text=True, check=False)
    if made.returncode:
        raise BenchError(made.stderr)
    os.chmod(key, 0o644)  # a proxy may read it as another user
    with open(os.path.join(path, "both.pem"), "w", encoding="ascii") as both:
        for part in (cert, key):
            with open(part, encoding="ascii") as file:
                both.write(file.read())
    return path


@contextlib.contextmanager
def held(name, *arguments):
    """A tool that says "ready", stays, and ends with its standard input; its result is put into the list given."""
    process = spawn({LOAD_CORE}, [tool(name), *map(str, arguments)], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, text=True)
    result = []
    try:
        if process.stdout.readline() != "ready\n":
            raise BenchError(f"{name} could not open its connections")
        yield result
        process.stdin.close()
        result.append(process.stdout.read())
    finally:
        stop(process)


def figures(name, *arguments):
    """What a tool that measures parts of the program by itself prints, as a dictionary."""
    done = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{name}: {done.stderr}")
    return json.loads(done.stdout)


def probe(port, connections, rate, seconds):
    """Latency of a paced load, as a dictionary (probe.c)."""
    arguments = [str(n) for n in (port, connections, rate, seconds)]
    process = spawn({LOAD_CORE}, [tool("bench_probe"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True)
    out, err = process.communicate()
    if process.returncode:
        raise BenchError(err.strip() or f"the probe ended with {process.returncode}")
    return json.loads(out)


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def wrk_command(port, load, seconds):
    command = ["wrk", "-t1", f"-c{load.get('connections', 64)}", f"-d{seconds}s", "--latency"]
    for header in load.get("headers", []):
        command += ["-H", header]
    if "script" in load:
        command += ["-s", load["script"]]
    return command + [f"http://127.0.0.1:{port}{load.get('path', '/')}"]


def wrk(port, load, seconds):
    """Runs wrk on the second core: requests, seconds, and latency in milliseconds. Any error is an exception."""
    process = spawn({LOAD_CORE}, wrk_command(port, load, seconds), stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True)
    try:
        out, _ = process.communicate(timeout=seconds + 30)
    finally:
        stop(process)
    total = re.search(r"(\d+) requests in ([\d.]+\w+),", out)
    if not total or not int(total[1]):
        raise BenchError(f"wrk says:\n{out}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*", out)
    if bad and not is_only_close(bad.group(), load):
        raise BenchError(bad.group())
    took = milliseconds(total[2]) / 1e3
    latency = {q: milliseconds(re.search(rf"^\s+{q}%\s+(\S+)", out, re.M)[1]) for q in (50, 99)}
    return {"requests": int(total[1]), "per_second": int(total[1]) / took, "p50_ms": latency[50],
            "p99_ms": latency[99]}


def h2load(port, load, seconds):
    """Runs h2load over TLS 1.3 on the second core; `load`: protocol (http1 or h2), connections, streams, path. Every
    request must have been answered by 200, over that protocol."""
    http1 = load["protocol"] == "http1"
    command = ["h2load", f"-D{seconds}", f"-c{load['connections']}", f"-m{load.get('streams', 1)}",
               "--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519", f"--connect-to=127.0.0.1:{port}",
               "--npn-list=" + ("http/1.1" if http1 else "h2"), f"https://bench:{port}{load.get('path', '/')}"]
    process = spawn({LOAD_CORE}, command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        out, _ = process.communicate(timeout=seconds + 30)
    finally:
        stop(process)
    counts = re.search(r"(\d+) done, (\d+) succeeded, 0 failed, 0 errored, 0 timeout\n"
                       r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", out)
    used = ("TLSv1.3", "TLS_AES_128_GCM_SHA256", "http/1.1" if http1 else "h2")
    # Answers under way at the end count as 2xx, but not as done.
    if not counts or not 0 < int(counts[1]) == int(counts[2]) <= int(counts[3]):
        raise BenchError(f"h2load says:\n{out[max(out.find('finished in'), 0):]}")
    if used != tuple(re.findall(r"^(?:TLS Protocol|Cipher|Application protocol): (\S+)", out, re.M)):
        raise BenchError(f"h2load did not speak {', '.join(used)}")
    mean, deviation = re.search(r"^time for request:\s+\S+\s+\S+\s+(\S+)\s+(\S+)", out, re.M).groups()
    return {"requests": int(counts[1]), "per_second": int(counts[1]) / seconds, "mean_ms": milliseconds(mean),
            "deviation_ms": milliseconds(deviation)}


def handshakes(port, load, seconds):
    """A new TLS connection for each request (handshake.c): `kind` is full or resume."""
    process = spawn({LOAD_CORE}, [tool("bench_handshake"), str(port), str(load["connections"]), str(seconds), load["kind"]],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    out, err = process.communicate()
    if process.returncode:
        raise BenchError(err.strip() or f"the handshakes ended with {process.returncode}")
    row = json.loads(out)
    del row["resumed"]  # checked there
    return row


def run_load(port, load, seconds):
    """The load that `with` names, or wrk."""
    return {"wrk": wrk, "h2load": h2load, "handshakes": handshakes}[load.get("with", "wrk")](port, load, seconds)


@contextlib.contextmanager
def loaded(port, count, seconds, patience=10):
    """Under wrk's load while the block runs, which is less than so many seconds; all connections are open and used
    before it begins."""
    process = spawn({LOAD_CORE}, wrk_command(port, {}, seconds), stdout=subprocess.DEVNULL)
    deadline, enough = time.monotonic() + patience, count() + 5000
    try:
        while count() < enough:
            if time.monotonic() > deadline:
                raise BenchError(f"fewer than 5,000 requests in {patience} s")
            time.sleep(0.05)
        yield
        if process.poll() is not None:
            raise BenchError("the load ended too early")
    finally:
        stop(process)


def is_only_close(complaint, load):
    """With a new connection for each request wrk counts a few as errors when it stops; nothing else may be wrong."""
    numbers = [int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", complaint)]
    return load.get("closes", False) and bool(numbers) and sum(numbers) <= load.get("connections", 64)


# --- what processes used

def family(pid):
    """A process and all below it."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", encoding="ascii") as file:
                    found += [int(child) for child in file.read().split()]
    return found


def cpu_seconds(pid):
    """(user, system) of the whole family, threads and all."""
    user = system = 0
    for each in family(pid):
        with contextlib.suppress(OSError), open(f"/proc/{each}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
            user, system = user + int(fields[11]), system + int(fields[12])
    return user / TICKS, system / TICKS


def run_ns(pid):
    """CPU time of the whole family in nanoseconds, for short turns: threads that have ended are missing."""
    total = 0
    for each in family(pid):
        for path in glob.glob(f"/proc/{each}/task/*/schedstat"):
            with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total


def resident_bytes(pid):
    """Memory that the family alone holds (private pages)."""
    total = 0
    for each in family(pid):
        with contextlib.suppress(OSError), open(f"/proc/{each}/smaps_rollup", encoding="ascii") as file:
            total += sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", file.read(), re.M)) * 1024
    return total


def busiest(pid):
    """The process of the family that has used most CPU: the one that serves."""
    def used(each):
        with contextlib.suppress(OSError), open(f"/proc/{each}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        return 0
    return max(family(pid), key=used)


def parse_strace(text):
    calls = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 5 and re.fullmatch(r"[\d.]+", fields[0]) and fields[-1] != "total":
            calls[fields[-1]] = int(fields[3])
    return calls


@contextlib.contextmanager
def counted_calls(pid):
    """System calls of a process and its threads while the block runs, by name, in the dictionary given."""
    if not shutil.which("strace"):
        raise BenchError("strace is not installed")
    tracer = subprocess.Popen(["strace", "-f", "-c", "-p", str(pid)], stderr=subprocess.PIPE, text=True,
                              process_group=0)
    calls = {}
    try:
        first = tracer.stderr.readline()
        if "attached" not in first:
            raise BenchError(f"strace: {first.strip()}")
        yield calls
        tracer.send_signal(signal.SIGINT)
        calls.update(parse_strace(tracer.stderr.read()))
    finally:
        stop(tracer, signal.SIGINT)


def await_port(port, process, patience=10):
    """Until something listens there; the process that should must live."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchError(f"ended with {process.returncode} at start")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise BenchError(f"does not listen on {port} after {patience} s")
