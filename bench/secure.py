# SPDX-License-Identifier: Apache-2.0
"""The scenarios over TLS and HTTP/2, with nghttpx as a third peer. TLS 1.3 with one cipher, one group and one ECDSA
P-256 certificate for all; each returns rows like those of scenarios.py."""
import contextlib
import time

import proxies
import scenarios
import tools

IDLE_S = 6  # after which buffers that a proxy gives up by a timer are given up


def take_turns(bench, load, options=None, names=None):
    with bench.folder() as folder:
        options = {**(options or {}), "certificate": tools.make_certificate(folder)}
        return scenarios.take_turns(bench, load, options, bench.all_names if names is None else names)


def tls(bench):
    """HTTP/1.1 with keep-alive over TLS 1.3, 64 connections."""
    return take_turns(bench, {"with": "h2load", "protocol": "http1", "connections": 64})


def h2(bench):
    """HTTP/2 over TLS, 16 connections by 16 streams, to an HTTP/1.1 origin."""
    return take_turns(bench, {"with": "h2load", "protocol": "h2", "connections": 16, "streams": 16})


def h2c_upstream(bench):
    """The same to an origin that speaks HTTP/2 without TLS (nghttpd); nginx cannot."""
    load = {"with": "h2load", "protocol": "h2", "connections": 16, "streams": 16}
    return take_turns(bench, load, {"h2c": True}, [n for n in bench.all_names if n in proxies.H2C])


def tls_1m(bench):
    """1 MiB over HTTP/1.1 and TLS, 16 connections."""
    load = {"with": "h2load", "protocol": "http1", "connections": 16, "path": "/1m"}
    return take_turns(bench, load, {"large": True})


def handshake(bench):
    """A new connection with a full TLS 1.3 handshake for each request, 16 at a time."""
    return take_turns(bench, {"with": "handshakes", "connections": 16, "kind": "full"})


def resume(bench):
    """A new connection for each request, each resumed by a ticket of the one before, 16 at a time."""
    return take_turns(bench, {"with": "handshakes", "connections": 16, "kind": "resume"})


def idle(bench, protocol):
    rows = {}
    for name in bench.all_names:
        with contextlib.ExitStack() as stack:
            origin = stack.enter_context(tools.origin())
            folder = stack.enter_context(bench.folder())
            options = {"certificate": tools.make_certificate(folder)}
            proxy = stack.enter_context(proxies.running(name, folder, origin, options))
            tools.h2load(proxy.port, {"protocol": protocol, "connections": 64}, 1)
            time.sleep(IDLE_S)
            before = scenarios.settled_bytes(proxy.process.pid)
            stack.enter_context(tools.held("bench_idle_tls", proxy.port, scenarios.IDLE_CONNECTIONS, protocol))
            time.sleep(IDLE_S)
            grown = scenarios.settled_bytes(proxy.process.pid) - before
            rows[name] = {"bytes_per_connection": grown / scenarios.IDLE_CONNECTIONS}
    return rows


def idle_tls(bench):
    """Bytes of memory that an idle HTTP/1.1 connection over TLS holds in the proxy, after 6 s."""
    return idle(bench, "http1")


def idle_h2(bench):
    """Bytes of memory that an idle HTTP/2 connection over TLS holds in the proxy, after 6 s."""
    return idle(bench, "h2")


ALL = {f.__name__.replace("_", "-"): f
       for f in (tls, h2, h2c_upstream, tls_1m, handshake, resume, idle_tls, idle_h2)}
