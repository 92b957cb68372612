# SPDX-License-Identifier: Apache-2.0
"""Railway as far as its API goes: one project with an environment, over real HTTP. What is asked must be valid by the
published schema (railway.graphql); deployments go their way in time; what goes wrong is said by the test."""
import datetime
import itertools
import json
import pathlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from graphql import build_ast_schema, execute, parse, validate

PROJECT, ENVIRONMENT = "p-0001", "e-0001"
TOKEN = "railway-token-0123456789abcdef"
REGIONS = ["us-west2", "us-east4-eqdc4a", "europe-west4-drams3a", "asia-southeast1-eqsg3a"]
LIMITS = {"free": (100, 5), "hobby": (1000, 10), "pro": (10000, 50)}  # in an hour, in a second
WORKING = ("QUEUED", "WAITING", "NEEDS_APPROVAL", "INITIALIZING", "BUILDING", "DEPLOYING")
LIVE = (*WORKING, "SUCCESS", "SLEEPING", "REMOVING")
GOOD = [("QUEUED", 0.02), ("BUILDING", 0.05), ("DEPLOYING", 0.05), ("SUCCESS", None)]


class Refused(Exception):
    """An error within an answer of status 200."""

    def __init__(self, message, code="INTERNAL_SERVER_ERROR"):
        super().__init__(message)
        self.code = code


def stamp(at):
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def load_schema():
    schema = build_ast_schema(parse((pathlib.Path(__file__).parent / "railway.graphql").read_text()))
    for name in ("JSON", "DateTime", "DeploymentDiagnosis", "DeploymentMeta", "EnvironmentConfig", "EnvironmentVariables",
                 "SubscriptionPlanLimit"):
        scalar = schema.get_type(name)
        scalar.serialize = scalar.parse_value = lambda value: value
    return schema


class Deployment:
    numbers = itertools.count(1)

    def __init__(self, service, way, at):
        self.id, self.service, self.created = f"dep-{next(self.numbers):04}", service, at
        self.image, self.variables = service.settings["source"]["image"], dict(service.variables)
        self.way, self.status, self.since = list(way), "QUEUED", at
        self.is_stopped = False

    def turn(self, status, at):
        self.status, self.since = status, at

    def advance(self, now):
        """Along its way as far as the time has come."""
        while self.way and now >= self.since + (self.way[0][1] or 0) and self.status == self.way[0][0]:
            if self.way[0][1] is None:
                return
            since = self.since + self.way[0][1]
            self.way.pop(0)
            if not self.way:
                return
            self.turn(self.way[0][0], since)

    def begin(self, way, at):
        self.way = list(way)
        self.turn(way[0][0], at)

    def node(self):
        return {"id": self.id, "status": self.status, "createdAt": stamp(self.created), "updatedAt": stamp(self.since),
                "statusUpdatedAt": stamp(self.since), "deploymentStopped": self.is_stopped, "meta": {"image": self.image}}


class Service:
    def __init__(self, ident, name, domain):
        self.id, self.name, self.domain = ident, name, domain
        self.variables, self.deployments = {}, []  # newest first
        self.regions = {"us-west2": {"numReplicas": 1}}
        self.volume = None
        self.settings = {"serviceName": name, "source": {"image": None, "repo": None}, "healthcheckPath": None,
                         "healthcheckTimeout": None, "overlapSeconds": None, "drainingSeconds": None,
                         "sleepApplication": False, "startCommand": None, "preDeployCommand": None,
                         "restartPolicyType": "ON_FAILURE", "restartPolicyMaxRetries": 10, "cronSchedule": None}

    def live(self):
        return [d for d in self.deployments if d.status in LIVE]

    def serving(self):
        """What answers at its domain: the newest that serves."""
        return next((d for d in self.deployments if d.status in ("SUCCESS", "SLEEPING") and not d.is_stopped), None)


class Railway:
    """`domains` are where the services answer; their ids are s-1 and s-2."""

    def __init__(self, domains=("a.railway.internal", "b.railway.internal"), plan="pro"):
        self.services = {f"s-{i + 1}": Service(f"s-{i + 1}", f"shop-{'ab'[i]}", domain) for i, domain in enumerate(domains)}
        self.lock = threading.RLock()
        self.plan, self.header = plan, "Project-Access-Token"
        self.ways = []        # (what the image contains, way): how deployments go
        self.faults = []      # [operation, kind, how often]
        self.untaken = set()  # settings that are not taken
        self.events = {}      # deployment -> [(step, error)]
        self.logs = {}        # deployment -> lines
        self.lag = 0          # seconds until a deployment is listed
        self.linger = 0.05    # seconds that one is being removed
        self.retry_after = 1
        self.is_revoked = False
        self.asked, self.wrong, self.exceeded = [], [], 0
        self.schema = load_schema()
        self.bind_resolvers()
        self.gone, self.is_holding, self.let_go = threading.Event(), threading.Event(), threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/graphql/v2"
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    def close(self):
        self.gone.set()
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()

    def check(self):
        """Nothing that was asked was wrong, or too much."""
        assert not self.wrong, self.wrong
        assert not self.exceeded, f"asked too often: {self.exceeded} times"

    # --- what a test says and sees

    def fail(self, operation, kind, count=1):
        with self.lock:
            self.faults.append([operation, kind, count])

    def count(self, operation):
        with self.lock:
            return sum(name == operation for name, _ in self.asked)

    def live(self):
        """{deployment: image} of all that runs or is about to."""
        with self.lock:
            self.advance()
            return {d.id: d.image for s in self.services.values() for d in s.live()}

    def deploy(self, service, image):
        """As somebody does by hand."""
        with self.lock:
            service.settings["source"]["image"] = image
            return self.make(service)

    def make_serverless(self, service):
        with self.lock:
            self.services[service].settings["sleepApplication"] = True

    def lose(self):
        """All deployments are gone, and nobody knows that there were any."""
        with self.lock:
            for service in self.services.values():
                service.deployments.clear()

    # --- deployments

    def make(self, service):
        now = time.time()
        if service.deployments:
            now = max(now, service.deployments[0].created + 0.001)
        image = service.settings["source"]["image"] or ""
        way = next((way for part, way in self.ways if part in image), GOOD)
        for older in service.deployments:  # what was not there yet is passed over
            if older.status in WORKING:
                older.begin([("SKIPPED", None)], now)
        made = Deployment(service, way, now)
        made.turn(way[0][0], now)
        service.deployments.insert(0, made)
        return made

    def advance(self):
        now = time.time()
        for service in self.services.values():
            for deployment in service.deployments:
                deployment.advance(now)
            serving = service.serving()
            for older in service.deployments:
                if serving and older.created < serving.created and older.status in ("SUCCESS", "SLEEPING", "CRASHED"):
                    older.begin([("REMOVING", self.linger), ("REMOVED", None)], now)

    def find(self, ident):
        for service in self.services.values():
            for deployment in service.deployments:
                if deployment.id == ident:
                    return deployment
        raise Refused("Deployment not found", "NOT_FOUND")

    def service(self, ident, environment):
        if ident not in self.services or environment != ENVIRONMENT:
            raise Refused("ServiceInstance not found")
        return self.services[ident]

    # --- what the API does

    def query_variables(self, projectId, environmentId, serviceId=None, unrendered=False):
        service = self.service(serviceId, environmentId)
        return {**service.variables, "RAILWAY_PRIVATE_DOMAIN": service.domain, "RAILWAY_PROJECT_ID": projectId}

    def query_deployments(self, input, first=10, **_):
        service = self.service(input["serviceId"], input["environmentId"])
        seen = [d for d in service.deployments if d.created + self.lag <= time.time()]
        return {"edges": [{"node": d.node(), "cursor": d.id} for d in seen[:first]]}

    def query_serviceInstance(self, serviceId, environmentId):
        return self.service(serviceId, environmentId).settings

    def query_environment(self, id, projectId=None):
        if id != ENVIRONMENT or projectId not in (None, PROJECT):
            raise Refused("Environment not found")
        services = {s.id: {"deploy": {"multiRegionConfig": s.regions}} for s in self.services.values()}
        volumes = [{"node": {"serviceId": s.id, "mountPath": s.volume}} for s in self.services.values() if s.volume]
        return {"id": id, "config": {"services": services}, "volumeInstances": {"edges": volumes}}

    def query_regions(self, projectId=None):
        return [{"name": name, "country": "", "location": ""} for name in REGIONS]

    def query_projectToken(self):
        return {"projectId": PROJECT, "environmentId": ENVIRONMENT}

    def query_deploymentLogs(self, deploymentId, limit=None, **_):
        return [{"message": line, "timestamp": "", "attributes": []} for line in self.logs.get(self.find(deploymentId).id, [])]

    def query_deploymentEvents(self, id, last=None, **_):
        return {"edges": [{"node": {"step": step, "payload": {"error": error}}} for step, error in
                          self.events.get(self.find(id).image, [])]}

    def mutation_variableCollectionUpsert(self, input):
        service = self.service(input["serviceId"], input["environmentId"])
        service.variables.update(input["variables"])
        if not input.get("skipDeploys"):
            self.make(service)
        return True

    def mutation_serviceInstanceUpdate(self, serviceId, input, environmentId=None):
        service = self.service(serviceId, environmentId)
        for key, value in input.items():
            if key in self.untaken:
                continue
            if key == "multiRegionConfig":
                service.regions = {**service.regions, **value}
                service.regions = {name: where for name, where in service.regions.items() if where}
            elif key == "source":
                service.settings["source"] = {"repo": None, "image": None, **value}
            else:
                service.settings[key] = value
        return True

    def mutation_serviceInstanceDeployV2(self, serviceId, environmentId, commitSha=None):
        return self.make(self.service(serviceId, environmentId)).id

    def mutation_deploymentCancel(self, id):
        deployment = self.find(id)
        if deployment.status not in ("QUEUED", "WAITING", "NEEDS_APPROVAL", "BUILDING"):
            raise Refused("Deployment cannot be cancelled", "BAD_USER_INPUT")
        deployment.begin([("REMOVED", None)], time.time())
        return True

    def mutation_deploymentRemove(self, id):
        deployment = self.find(id)
        if deployment.status not in LIVE:
            raise Refused("Deployment cannot be removed", "BAD_USER_INPUT")
        if deployment.status != "REMOVING":
            deployment.begin([("REMOVING", self.linger), ("REMOVED", None)], time.time())
        return True

    # --- GraphQL

    def bind_resolvers(self):
        for kind, prefix in ((self.schema.get_query_type(), "query"), (self.schema.get_mutation_type(), "mutation")):
            for name, field in kind.fields.items():
                method = getattr(self, f"{prefix}_{name}", None)
                if method:
                    field.resolver = lambda _root, _info, method=method, **words: method(**words)

    def answer(self, message):
        document = parse(message["query"])
        wrong = validate(self.schema, document)
        if wrong:
            self.wrong.append(str(wrong[0]))
            return 400, {"errors": [{"message": str(wrong[0]), "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}]}
        result = execute(self.schema, document, variable_values=message.get("variables"),
                         operation_name=message.get("operationName"))
        if not result.errors:
            return 200, {"data": result.data}
        errors = []
        for error in result.errors:
            cause = getattr(error, "original_error", error)
            if not isinstance(cause, Refused):
                self.wrong.append(repr(cause))
            errors.append({"message": str(cause), "traceId": "0", "path": error.path,
                           "extensions": {"code": getattr(cause, "code", "BAD_USER_INPUT")}})
        return 200, {"data": result.data, "errors": errors}

    # --- HTTP

    def is_too_often(self):
        """Whether the account's plan forbids this one."""
        now = time.monotonic()
        hour, second = LIMITS[self.plan]
        times = [at for _, at in self.asked]
        return sum(now - at < 3600 for at in times) > hour or sum(now - at < 1 for at in times) > second

    def next_fault(self, operation):
        for fault in self.faults:
            if fault[0] in (operation, "any") and fault[2]:
                fault[2] -= 1
                return fault[1]
        return None

    def is_authorized(self, headers):
        wanted = {"Project-Access-Token": TOKEN, "Authorization": f"Bearer {TOKEN}"}
        other = "Authorization" if self.header == "Project-Access-Token" else "Project-Access-Token"
        return not self.is_revoked and headers.get(self.header) == wanted[self.header] and not headers.get(other)

    def take(self, request, message):
        """The status, the body and what is done with them."""
        operation = message["operationName"]
        with self.lock:
            self.asked.append((operation, time.monotonic()))
            if self.is_too_often():
                self.exceeded += 1
                return 429, b"<html>error 1015</html>", str(self.retry_after)
            fault = self.next_fault(operation)
            early = self.fail_early(fault)
            if early and fault != "nonsense held":
                return early
            if not self.is_authorized(request.headers):
                return 200, {"data": None, "errors": [{"message": "Not Authorized", "path": [operation],
                                                       "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}, None
            if not early:
                self.advance()
                status, body = self.answer(message)
                self.advance()
        if early:
            self.is_holding.set()
            self.let_go.wait(60)
            return early
        if fault == "late":
            self.gone.wait(60)
        if fault in ("late", "lost"):
            return None, None, None
        if fault == "error after":
            body = {"data": None, "errors": [{"message": "Problem processing request", "traceId": "1"}]}
        return status, body, None

    def fail_early(self, fault):
        """Without effect; None: none of these."""
        texts = {"not authorized": ("Not Authorized", "INTERNAL_SERVER_ERROR"), "busy": ("Redeploy is already in progress", "INTERNAL_SERVER_ERROR"),
                 "full": ("You have reached your plan's limit", "PLAN_LIMIT"), "broken": ("Something went wrong", "INTERNAL_SERVER_ERROR"),
                 "refused": ("Invalid image", "BAD_USER_INPUT"), "throttled": ("Creating too quickly", "RATE_LIMITED")}
        if fault == "429":
            return 429, b"<html>error 1015</html>", str(self.retry_after)
        if fault in ("500", "502", "503"):
            return int(fault), b"<html>oops</html>", None
        if fault == "html":
            return 200, b"<html>hello</html>", None
        if fault in ("nonsense", "nonsense held"):
            return 200, {"data": {"aVariables": 7}}, None
        if fault == "drop":
            return None, None, None
        if fault not in texts:
            return None
        message, code = texts[fault]
        return 200, {"data": None, "errors": [{"message": message, "extensions": {"code": code}}]}, None

    def handler(self):
        railway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, body, retry = railway.take(self, message)
                if status is None:
                    self.close_connection = True
                    return
                is_json = not isinstance(body, bytes)
                data = json.dumps(body).encode() if is_json else body
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if is_json else "text/html")
                self.send_header("Content-Length", str(len(data)))
                if retry:
                    self.send_header("Retry-After", retry)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        return Handler
