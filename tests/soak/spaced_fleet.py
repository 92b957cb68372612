# SPDX-License-Identifier: Apache-2.0
"""The fleet of the end-to-end tests with a machine for each: edges, control, apps and clients in network namespaces, and
control on its way to edges over TLS on a network of its own, which can be cut."""

import os
from collections import Counter

from lib.fleet import TOKEN, WAIT, Fleet, LoneControl
from lib.load import Load
from lib.netns import Network
from lib.origin import Origin
from lib.wait import until

PORT, ADMIN = 8080, 9900


class Visitors(Load):
    """Requests all the time from the clients' machine through one edge; `texts`: what came."""

    def __init__(self, fleet, number, path="/", clients=1):
        super().__init__(fleet.edges[number], clients, path)
        self.space, self.address, self.texts = fleet.clients, (fleet.spaces[number].front, PORT), Counter()

    def _run(self):
        with self.space:
            super()._run()

    def _count(self, reply):
        super()._count(reply)
        self.texts[reply.text] += 1

    def expect(self, text, more=20):
        """From now on this comes, and nothing else."""
        until(lambda: self._next() == text, f"{text} comes: {self.texts}, {self.failures[:3]}", WAIT)
        before = Counter(self.texts)
        self.grow(more)
        assert not self.failures and set(Counter(self.texts) - before) == {text}, (self.failures[:3], self.texts - before)

    def _next(self):
        before = Counter(self.texts)
        self.grow(1)
        fresh = Counter(self.texts) - before
        return next(iter(fresh)) if len(fresh) == 1 else None


class SpacedFleet(Fleet):
    """As Fleet; `parts(fleet)` has more services, and what else the edges are, once the network is there."""

    def __init__(self, gateway, home, authority, count=3, parts=None, **deploy):
        # pylint: disable=super-init-not-called
        self.home, self.authority, self.made, self.controls, self.edges = home, authority, [], [], []
        self.network = Network()
        add = self.network.add
        self.clients, self.apps = add("clients", 8, back=False), add("apps", 9, back=False)
        self.desks = [add("control", 10, front=False), add("spare", 20, front=False)]
        self.spaces, self.links = [], []
        services, more = parts(self) if parts else ({}, {})
        self.routes = {"routes": more["routes"]} if "routes" in more else {}
        self.services = {"shop": {"targets": [self.origin("stable").address], **self.usual(**deploy)}, **services}
        for _ in range(count):
            self._add_edge(gateway, self.add_space(), more)

    @staticmethod
    def usual(**deploy):
        """Of each service."""
        return {"health": {"interval": "1s", "fast_interval": "100ms", "fall": 1}, "assign": {"by": "cookie"},
                "deploy": {"bake": "200ms", "drain": "2s", "keep": "1h", "healthy": "4s", "verdict": {"latency": "off"}, **deploy}}

    def add_space(self):
        """A machine for one more edge, which control is to know."""
        number = len(self.spaces)
        self.spaces.append(self.network.add(f"edge{number}", 11 + number))
        self.links.append({"name": f"e{number}", "url": f"https://{self.spaces[-1].back}:{ADMIN}", "token": TOKEN,
                           "ca": str(self.authority.file)})
        return self.spaces[-1]

    def _add_edge(self, gateway, space, more):
        edge = gateway(services=self.services, role="edge", run=False, **more)
        edge.change(listeners=[{"bind": f"{space.front}:{PORT}"}],
                    admin={"bind": f"{space.back}:{ADMIN}", "tls": self.authority.leaf(space.back).pair,
                           "tokens": [{"name": "control", "token": TOKEN, "can": ["operate", "deploy"]}]})
        with space:
            edge.start()
        self.edges.append(edge)

    def begin_control(self):
        self.control = self.another_control()
        return self

    def another_control(self):
        with self.desks[len(self.controls)]:
            home = os.path.join(self.home, f"c{len(self.controls)}")
            self.controls.append(LoneControl(home, self.services, self.links, self.routes))
        return self.controls[-1]

    def restart_control(self):
        with self.desks[0]:
            self.control.start()

    def start_edge(self, number):
        with self.spaces[number]:
            self.edges[number].start()

    def origin(self, name):
        with self.apps:
            made = Origin(host=self.apps.front)
        made.on("/")(lambda conn, request: conn.respond(200, name.encode()))
        self.made.append(made)
        return made

    def seen(self, number):
        """What control says of an edge."""
        reply = self.control.ask("GET", "/api/v1/edges")
        return reply.json()["edges"][number] if reply.status == 200 else {"reachable": None}

    def shares(self, number):
        service = next(one for one in self.edges[number].status()["services"] if one["name"] == "shop")
        return {one["id"]: one["share"] for one in service["releases"]}

    def close(self):
        try:
            for control in self.controls:
                control.close()
        finally:
            for edge in self.edges:
                edge.stop()
            for made in self.made:
                made.close()
            self.network.close()
