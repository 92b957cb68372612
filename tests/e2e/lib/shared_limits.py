# SPDX-License-Identifier: Apache-2.0
"""What tests of limits that gateways share through Redis have in common."""

import time

from .client import Client
from .wait import SLOW, until

WAIT_S = 0.4 * SLOW  # a busy machine must not look like a slow Redis
WAIT = f"{int(WAIT_S * 1000)}ms"


def share(gateway, origin, url, up=True, tls=None, sentinel=None, **keys):
    redis = {"url": url}
    if tls is not None:
        redis["tls"] = tls
    if sentinel is not None:
        redis["sentinel"] = sentinel
    limit = {"rate": "100/h", "store_wait": WAIT, **keys}
    gw = gateway(origin, redis=redis, filters=[{"rate_limit": limit}])
    if up:
        wait_up(gw)
    return gw


def wait_up(gw, **options):
    until(lambda: gw.status()["rate_limits"]["shared"] == "up", "the shared limits", **options)


def reason(gw):
    """Why they are degraded; empty: they are not."""
    return gw.status()["rate_limits"]["redis"].get("reason", "")


def degraded(gw):
    return gw.metric("sluice_rate_limit_degraded")


def ask(gw, source=None, **options):
    with Client(("127.0.0.1", gw.port), source=source) as client:
        return client.get(**options)


def statuses(gw, count, **options):
    return [ask(gw, **options).status for _ in range(count)]


def at_once(gateways, count):
    """So many requests, on connections that are open before, dealt to the gateways in turn."""
    clients = [Client(("127.0.0.1", gateways[i % len(gateways)].port)) for i in range(count)]
    try:
        for client in clients:
            client.request("GET", "/")
        return [client.reply("GET").status for client in clients]
    finally:
        for client in clients:
            client.close()


class Load:
    """Asks one gateway after the other until it is told to stop; keeps statuses and the longest wait."""

    def __init__(self, gateways, headers=()):
        self.gateways, self.headers = gateways, list(headers)
        self.statuses, self.longest_s = [], 0.0

    def ask(self):
        gw = self.gateways[len(self.statuses) % len(self.gateways)]
        begun = time.monotonic()
        self.statuses.append(ask(gw, headers=self.headers).status)
        self.longest_s = max(self.longest_s, time.monotonic() - begun)
        return self

    def until(self, check, what, timeout):
        """Asks all the while."""
        until(lambda: self.ask() and check(), what, timeout)

    def check(self):
        """No 5xx, and nobody waited longer than may be, a busy machine allowed for."""
        assert set(self.statuses) <= {200, 429}, set(self.statuses)
        assert self.longest_s < WAIT_S + 1.5 * SLOW, self.longest_s
