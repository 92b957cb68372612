# SPDX-License-Identifier: Apache-2.0
"""Fly.io's Machines API as far as the provider `fly` uses it, on loopback. Each request is held against the published
schema (fly_schema.json) and the published rates; what does not fit stands in `wrong`, which a test looks at in the end.
Machines change their state in time, and the API misbehaves on cue: see Cue. A machine runs what its image says:

    .../shop:good     runs until it is stopped        .../shop:crash    ends with 3 at once
    .../shop:oom      ends as it has no memory        .../shop:stuck    starts and starts
    .../shop:broken   fails before it runs            .../shop:deaf     ends only when it is killed
    .../shop:resting  stays created until it is started
"""
import http.server
import itertools
import json
import os
import pathlib
import re
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

import jsonschema

SCHEMA = json.loads((pathlib.Path(__file__).parent / "fly_schema.json").read_text())
PERIOD, BURST, READ_PERIOD, READ_BURST = 1.0, 3, 0.2, 10  # as published
# Seconds by which a request may arrive early, since a busy machine is late with the one before.
LEEWAY = 0.3 * float(os.environ.get("SLUICE_SLOW", "1"))


def strict(schema):
    """The same, with nothing in an object that the schema does not name."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if made.get("type") == "object" and isinstance(made.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


STRICT = strict(SCHEMA["schemas"])
STRICT["CreateMachineRequest"]["properties"]["config"] = {"$ref": "#/schemas/fly.MachineConfig"}  # not an empty object
READ_BACK = json.loads(json.dumps(SCHEMA["schemas"]))
READ_BACK["fly.MachineService"]["properties"]["autostop"] = {}  # booleans, as the schema says in its prose


def check(value, schema, schemas):
    jsonschema.Draft202012Validator({**schema, "schemas": schemas}).validate(value)


@dataclass
class Cue:
    """What happens to the next `times` requests of a kind: `status` with `body`, before anything is done; or it is done
    and the answer is `lost`; or the connection ends before anything is done (`cut`)."""
    action: str
    status: int = 0
    body: object = None
    headers: dict = field(default_factory=dict)
    kind: str = "refuse"
    times: int = 1


class Refusal(Exception):
    def __init__(self, code, error, **body):
        super().__init__(error)
        self.code, self.body = code, {"error": error, **body}


@dataclass
class Lease:
    nonce: str
    owner: str
    until: float


class Machine:
    def __init__(self, fake, number, body):
        self.fake, self.id, self.number = fake, f"{0xd8900000 + number:08x}", number
        self.name = body.get("name", f"machine-{number}")
        self.region, self.config = body.get("region", "cdg"), body["config"]
        self.state, self.events, self.lease = "created", [], None
        self.host_status, self.instance, self.created = "ok", f"01J{number:05d}", time.time()
        self.ip = fake.address(number)
        self.app = None  # what answers at its address
        self.is_held, self.resumes = False, 0  # what it had in memory, and how often it went on from there
        self.tell("launch", "created", "user")

    @property
    def kind(self):
        return self.config["image"].rsplit(":", 1)[-1]

    @property
    def metadata(self):
        return self.config.get("metadata", {})

    def tell(self, what, status, source="flyd", **request):
        self.events.insert(0, {"id": f"e{self.number}-{len(self.events)}", "type": what, "status": status, "source": source,
                               "timestamp": int(time.time() * 1000), **({"request": request} if request else {})})

    def to(self, state, after=0.0, event=None):
        """It will be in that state; whoever waits is told."""
        def arrive():
            with self.fake.change:
                if self.state == "destroyed" or (self.state == "destroying" and state != "destroyed"):
                    return
                self.state = state
                if event:
                    event()
                self.fake.change.notify_all()
        if not after:
            arrive()
            return
        timer = threading.Timer(after, arrive)
        timer.daemon = True
        timer.start()

    def age(self, seconds):
        for event in self.events:
            event["timestamp"] -= int(seconds * 1000)
        self.created -= seconds

    def start(self, source):
        if self.kind == "resting" and source != "user":
            return
        if source == "user":
            self.tell("start", "starting", source)
        self.state = "starting"
        self.resumes += self.is_held
        self.is_held = False
        if self.kind == "stuck":
            return
        if self.kind == "broken":
            self.to("failed", self.fake.boot_s, lambda: self.tell("launch_failed", "failed"))
            return
        self.to("started", self.fake.boot_s, self.has_started)

    def has_started(self):
        self.tell("start", "started")
        if self.kind == "crash":
            self.to("stopped", 0.02, lambda: self.has_ended(exit_code=3, signal=-1))
        elif self.kind == "oom":
            self.to("stopped", 0.02, lambda: self.has_ended(exit_code=137, signal=9, oom_killed=True))
        elif self.fake.on_start:
            self.app = self.fake.on_start(self)

    def has_ended(self, **more):
        if self.app:
            self.app.close()
            self.app = None
        self.tell("exit", "stopped", exit_event={"requested_stop": False, "restarting": False, "oom_killed": False, **more})

    def suspend(self):
        def rests():
            self.is_held = self.fake.suspends_to == "suspended"
            if self.app and self.state != "started":
                self.app.close()
                self.app = None

        self.tell("suspend", "suspending", "user")
        self.state = "suspending"
        self.to(self.fake.suspends_to, self.fake.stop_s, rests)

    def stop(self, timeout_s):
        self.is_held = False
        self.tell("stop", "stopping", "user")
        self.state = "stopping"
        late = self.kind == "deaf"
        self.to("stopped", timeout_s if late else self.fake.stop_s,
                lambda: self.has_ended(requested_stop=True, signal=9 if late else -1))

    def destroy(self):
        self.tell("destroy", "destroying", "user")
        self.state = "destroying"
        if self.app:
            self.app.close()
            self.app = None
        if not self.fake.keeps_destroying:
            self.to("destroyed", self.fake.stop_s, lambda: self.tell("destroy", "destroyed"))

    def json(self):
        config = {"incomplete_config": self.config} if self.host_status == "unreachable" else {"config": self.config}
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.created))
        repository, _, tag = self.config["image"].partition(":")
        return {"id": self.id, "name": self.name, "state": self.state, "region": self.region, "instance_id": self.instance,
                "private_ip": self.ip, "created_at": stamp, "updated_at": stamp, "host_status": self.host_status,
                "image_ref": {"registry": "registry.fly.io", "repository": repository.rpartition("/")[2], "tag": tag},
                "events": self.events[:20], **config}


class Fly:
    """One app with its machines. `live`: the configuration of the one that fly deployed; None: there is none.
    `on_start(machine)` is what answers at its address, until it is closed."""

    def __init__(self, app="shop", token="fm2_secret", live=None, on_start=None, page=0, address="fdaa:0:1:a7b:1::{:x}".format):
        self.app, self.token, self.on_start, self.page, self.address = app, token, on_start, page, address
        self.change = threading.Condition(threading.RLock())
        self.numbers = itertools.count(1)
        self.machines, self.cues, self.wrong, self.requests = {}, [], [], []
        self.buckets, self.full, self.stop_after = {}, set(), None
        self.cursor = "{}"
        self.cut_status = 0  # of whatever is asked of a machine whose host cannot be reached; 0: it is done
        self.in_the_way = []  # whose leases were met
        self.on_request = None  # called before each is done
        self.boot_s, self.stop_s, self.keeps_destroying = 0.1, 0.05, False
        self.suspends_to = "suspended"  # what comes of it
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if live is not None:
            self.add(live)
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()

    def die(self):
        """The API, not the machines."""
        self.server.shutdown()
        self.server.server_close()

    def close(self):
        self.die()
        for machine in self.machines.values():
            if machine.app:
                machine.app.close()

    # --- for tests

    def add(self, config, name=None, region="cdg", state="started"):
        machine = Machine(self, next(self.numbers), {"config": config, "region": region, **({"name": name} if name else {})})
        machine.tell("start", "started")
        machine.state = state
        self.machines[machine.id] = machine
        return machine

    def cue(self, action, status=0, body=None, times=1, kind="refuse", headers=None):
        with self.change:
            self.cues.append(Cue(action, status, body, headers or {}, kind, times))

    def ours(self):
        """{unit: machine} of those of Sluice that are there, as far as their hosts are."""
        with self.change:
            found = [m for m in self.machines.values() if "sluice_unit" in m.metadata and m.state != "destroyed"
                     and not (self.cut_status and m.host_status == "unreachable")]
            assert len({m.metadata["sluice_unit"] for m in found}) == len(found), "two machines are one unit"
            return {m.metadata["sluice_unit"]: m for m in found}

    def one(self):
        (machine,) = self.ours().values()
        return machine

    def count(self, action):
        with self.change:
            return sum(asked == action for asked in self.requests)

    def hold(self, machine, owner="somebody", seconds=3600.0):
        with self.change:
            machine.lease = Lease("theirs", owner, time.monotonic() + seconds)

    # --- requests

    def handler(fake):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                size = int(self.headers.get("Content-Length", 0))
                try:
                    fake.serve(self, self.rfile.read(size))
                except OSError:
                    self.close_connection = True  # whoever asked is gone
                except Exception as error:
                    fake.complain(f"the fake is wrong: {error!r}")
                    raise

            do_GET = do_POST = do_DELETE = handle_any

            def answer(self, status, body, headers=None):
                data = json.dumps(body).encode() if body is not None else b""
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *words):
                pass
        return Handler

    def complain(self, text):
        with self.change:
            self.wrong.append(text)

    def read(self, request, body):
        """(action, machine's id, query, what was sent), held against the schema."""
        url = urllib.parse.urlsplit(request.path)
        match = re.fullmatch(r"/v1/apps/([^/]+)(/machines(?:/([^/]+)(?:/(\w+))?)?)?", url.path)
        if not match:
            self.complain(f"no such path: {request.path}")
            raise Refusal(404, "not found")
        app, machines, ident, verb = match.groups()
        path = "/v1/apps/{app_name}" + ("/machines" if machines else "") + ("/{machine_id}" if ident else "") + (f"/{verb}" if verb else "")
        call = SCHEMA["calls"].get(f"{request.command} {path}")
        query = urllib.parse.parse_qs(url.query, strict_parsing=bool(url.query))
        sent = json.loads(body) if body else None
        if call is None:
            self.complain(f"no such call: {request.command} {path}")
            raise Refusal(405, "no such call")
        try:
            for name, values in query.items():
                for value in values:
                    kind = call["query"][name]
                    jsonschema.validate(int(value) if kind["type"] == "integer" else value == "true" if kind["type"] == "boolean" else value, kind)
            assert all(request.headers.get(name) for name in call["headers"]), f"a header is missing: {call['headers']}"
            assert (sent is None) == (call["body"] is None), f"{call['body']} for {body!r}"
            if sent is not None:
                check(sent, call["body"], STRICT)
        except (KeyError, AssertionError, ValueError, jsonschema.ValidationError) as error:
            self.complain(f"{request.command} {request.path}: {error!r}")
            raise Refusal(400, "invalid request") from error
        action = verb or {("GET", True): "get", ("DELETE", True): "delete", ("GET", False): "list", ("POST", False): "create"}[
            request.command, bool(ident)] if machines else "app"
        if verb == "lease" and request.command == "DELETE":
            action = "unlease"
        return action, app, ident, query, sent

    def measure(self, action, subject):
        """A bucket for each action and machine, or app."""
        period, burst = (READ_PERIOD, READ_BURST) if action == "get" else (PERIOD, BURST)
        now = time.monotonic()
        due = max(self.buckets.get((action, subject), now), now)
        if due - now > (burst - 1) * period + LEEWAY:
            self.complain(f"too fast: {action} of {subject}, {due - now:.2f} s ahead")
        self.buckets[action, subject] = due + period

    def take_cue(self, action):
        for cue in self.cues:
            if cue.action in (action, "any") and cue.times:
                cue.times -= 1
                return cue
        return None

    def serve(self, request, body):
        cue = None
        try:
            with self.change:
                action, app, ident, query, sent = self.read(request, body)
                self.requests.append(action)
                if self.on_request:
                    self.on_request()
                self.measure(action, ident or app)
                cue = self.take_cue(action)
                self.admit(request, app)
                if cue and cue.kind == "cut":
                    request.close_connection = True
                    return
                if cue and cue.kind == "refuse":
                    request.answer(cue.status, cue.body, cue.headers)
                    return
                machine = self.machine(ident) if ident else None
                is_cut = machine and machine.host_status == "unreachable"
                if is_cut and self.cut_status and action not in ("get", "wait"):
                    raise Refusal(self.cut_status, "the host does not answer")
                if action in ("start", "stop", "suspend", "delete"):
                    self.mind_lease(machine, request, not is_cut)
            status, answer, headers = getattr(self, f"do_{action}")(machine, query, sent, request)
        except Refusal as refusal:
            status, answer, headers = refusal.code, refusal.body, {}
        if cue and cue.kind == "lost":
            request.close_connection = True
            return
        request.answer(status, answer, headers)

    def admit(self, request, app):
        if self.stop_after is not None:
            self.stop_after -= 1
            if self.stop_after < 0:
                self.token = None
        if request.headers.get("Authorization") != f"FlyV1 {self.token}":
            raise Refusal(401, "unauthorized")
        if app != self.app:
            raise Refusal(404, "app not found")

    def machine(self, ident):
        machine = self.machines.get(ident)
        if not machine or machine.state == "destroyed":
            raise Refusal(404, "machine not found")
        return machine

    def mind_lease(self, machine, request, is_needed):
        lease = machine.lease
        nonce = request.headers.get("fly-machine-lease-nonce")
        if lease and lease.until < time.monotonic():
            lease = machine.lease = None
        if lease and lease.nonce != nonce:
            self.refuse_leased(machine)
        if not lease and is_needed:
            self.complain(f"machine {machine.id} is changed without a lease: {request.path}")

    def refuse_leased(self, machine):
        owner = machine.lease.owner
        self.in_the_way.append(owner)
        raise Refusal(409, f"aborted: machine ID {machine.id} lease currently held by {owner}, expires at soon")

    # --- one call each

    def do_app(self, _machine, _query, _sent, _request):
        return 200, {"id": "app1", "name": self.app, "status": "deployed", "organization": {"name": "us", "slug": "us"}}, {}

    def do_list(self, _machine, query, _sent, _request):
        with self.change:
            every = [m.json() for m in self.machines.values() if m.state != "destroyed"]
        check(every, SCHEMA["calls"]["GET /v1/apps/{app_name}/machines"]["answer"], READ_BACK)
        cursor = query.get("cursor", [self.cursor.format(0)])[0]
        first = next((i for i in range(len(every) + 1) if self.cursor.format(i) == cursor), None)
        if first is None:
            raise Refusal(400, f"invalid cursor {cursor!r}")
        last = first + self.page if self.page else len(every)
        return 200, every[first:last], {"fly-next-cursor": self.cursor.format(last)} if last < len(every) else {}

    def do_create(self, _machine, _query, sent, _request):
        with self.change:
            if any(m.name == sent["name"] and m.state != "destroyed" for m in self.machines.values()):
                raise Refusal(409, f"already_exists: unique machine name violation, {sent['name']}", status="name_taken")
            if sent["region"] in self.full:
                raise Refusal(422, f"insufficient resources in {sent['region']}", status="insufficient_capacity")
            machine = Machine(self, next(self.numbers), sent)
            self.machines[machine.id] = machine
            body = machine.json()
            machine.start("flyd")
        return 200, body, {}

    def do_get(self, machine, _query, _sent, _request):
        with self.change:
            return 200, machine.json(), {}

    def do_wait(self, machine, query, _sent, _request):
        wanted = query.get("state", ["started"])
        with self.change:
            there = self.change.wait_for(lambda: machine.state in wanted, min(int(query.get("timeout", ["60"])[0]), 60))
            if not there:
                raise Refusal(408, f"deadline_exceeded: machine failed to reach desired state, {wanted[0]}, currently {machine.state}")
            return 200, {"ok": True, "state": machine.state, "version": machine.instance}, {}

    def do_start(self, machine, _query, _sent, _request):
        with self.change:
            if machine.state not in ("stopped", "suspended") and (machine.state, machine.kind) != ("created", "resting"):
                raise Refusal(412, f"failed_precondition: unable to start machine from current state: '{machine.state}'")
            machine.start("user")
        return 200, {"previous_state": "stopped"}, {}

    def do_stop(self, machine, _query, sent, _request):
        with self.change:
            if machine.state not in ("started", "suspended"):
                raise Refusal(412, f"failed_precondition: machine is {machine.state}")
            machine.stop(float(sent["timeout"].rstrip("s")))
        return 200, {"ok": True}, {}

    def do_suspend(self, machine, _query, _sent, _request):
        with self.change:
            if machine.state != "started":
                raise Refusal(412, f"failed_precondition: unable to suspend machine from current state: '{machine.state}'")
            machine.suspend()
        return 200, {"ok": True}, {}

    def do_delete(self, machine, query, _sent, _request):
        with self.change:
            if query.get("force") != ["true"] and machine.state == "started":
                raise Refusal(412, "failed_precondition: machine is started")
            machine.destroy()
        return 200, {"ok": True}, {}

    def do_lease(self, machine, _query, sent, request):
        with self.change:
            lease = machine.lease
            if lease and lease.until > time.monotonic() and request.headers.get("fly-machine-lease-nonce") != lease.nonce:
                self.refuse_leased(machine)
            nonce = f"n{len(self.requests)}"
            machine.lease = Lease(nonce, sent["description"], time.monotonic() + sent["ttl"])
        return 201, {"status": "success", "data": {"nonce": nonce, "owner": "us", "expires_at": 0, "version": machine.instance}}, {}

    def do_unlease(self, machine, _query, _sent, request):
        with self.change:
            if machine.lease and machine.lease.nonce == request.headers["fly-machine-lease-nonce"]:
                machine.lease = None
        return 200, {"status": "success"}, {}


def live_config(image="registry.fly.io/shop:good", group="app", **more):
    """What fly deploy leaves: everything that a clone has to mind."""
    return {"image": image, "env": {"MODE": "production", "PRIMARY_REGION": "cdg"},
            "guest": {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256}, "init": {},
            "metadata": {"fly_platform_version": "v2", "fly_process_group": group, "fly_release_id": "r9"},
            "restart": {"policy": "on-failure", "max_retries": 10},
            "services": [{"protocol": "tcp", "internal_port": 8080, "autostart": False, "autostop": False,
                          "ports": [{"port": 443, "handlers": ["tls", "http"]}]}],
            "checks": {"up": {"type": "http", "port": 8080, "path": "/up", "interval": "5s", "timeout": "2s"}}, **more}
