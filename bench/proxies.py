# SPDX-License-Identifier: Apache-2.0
"""Those that are compared, each with one worker on the first core, configured for the same job: keep-alive to the
client and to the origin, the usual forwarding headers, where asked for a JSON access log into a file, TLS or HTTP/2."""
import contextlib
import json
import os
import re
import subprocess

import tools

ORDER = ["sluice", "nginx", "haproxy", "nghttpx"]
ORIGIN = "https://app.example.com"  # whose pages may read answers, with `rate`
PLAIN = ["sluice", "nginx", "haproxy"]  # in the scenarios without TLS
H2C = ["sluice", "haproxy", "nghttpx"]  # that can speak HTTP/2 to an origin


class Proxy:
    """One running proxy. `options`: log (bool), routes (how many; 0: everything goes to the origin), named (bool, Sluice
    alone: they have names, and so series of their own), large (bool: buffers fit for large bodies), certificate (folder
    of cert.pem, key.pem and both.pem: TLS and HTTP/2 to the client), h2c (bool: HTTP/2 to the origin), check (bool:
    active checks of the origin), env (more environment), rate (requests a second from one address: more are refused,
    pages of ORIGIN get CORS, clients the request's id; goes with log), traces (Sluice alone: where spans of 1 % of
    requests go), filters (Sluice alone: filters by name, each with a route for the host of that name, beside one for
    `bare`)."""
    name = ""
    cores = {tools.PROXY_CORE}

    def __init__(self, folder, origin_port, options):
        self.folder, self.origin, self.options = folder, origin_port, options
        self.port = tools.free_port()
        self.process = None
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def certificate(self, name):
        return os.path.join(self.options["certificate"], name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.path("output"), "wb") as output:
            self.process = tools.spawn(self.cores, self.command(), stdout=output, stderr=subprocess.STDOUT,
                                       stdin=subprocess.DEVNULL, cwd=self.folder,
                                       env={**os.environ, **self.options.get("env", {})})
        try:
            tools.await_port(self.port, self.process)
        except tools.BenchError as error:
            with open(self.path("output"), encoding="utf-8", errors="replace") as output:
                said = output.read()[-2000:]
            self.stop()
            raise tools.BenchError(f"{self.name} {error}\n{said}") from None

    def stop(self):
        tools.stop(self.process)


class Sluice(Proxy):
    name = "sluice"
    admin = None
    BINARY = os.environ.get("SLUICE_BIN", os.path.join(tools.BUILD, "sluice"))

    @classmethod
    def version(cls):
        return subprocess.run([cls.BINARY, "version"], capture_output=True, text=True, check=True).stdout.split()[-1]

    def config(self):
        log = "{path: access.log, format: json}" if self.options.get("log") else "{format: off}"
        self.admin = self.admin or tools.free_port()
        tls, protocol = "", ""
        if "certificate" in self.options:
            pair = f"{{cert: {self.certificate('cert.pem')}, key: {self.certificate('key.pem')}}}"
            tls = f", tls: {{certificates: [{pair}]}}"
        if self.options.get("h2c"):
            protocol = ", protocol: h2"
        lines = ["workers: 1", f"state: {self.path('state')}",
                 f'listeners: [{{bind: "127.0.0.1:{self.port}"{tls}}}]',
                 f'admin: {{bind: "127.0.0.1:{self.admin}"}}', f"log: {log}", *self.traces(), f"filters: {self.policies()}",
                 f'services: {{origin: {{targets: ["127.0.0.1:{self.origin}"]{protocol}}}}}']
        if self.options.get("routes"):
            lines.append("routes:")
            name = "name: r{0}, " if self.options.get("named") else ""
            lines += [f"  - {{{name.format(i)}paths: [/r{i}/*], service: origin}}" for i in range(self.options["routes"])]
        if self.options.get("filters"):
            lines += ["routes:", "  - {hosts: [bare], service: origin}"]
            lines += [f"  - {{hosts: [{name}], service: origin, filters: {json.dumps([filters])}}}"
                      for name, filters in self.options["filters"].items()]
        return "\n".join(lines) + "\n"

    def change(self, **options):
        """The same one goes by other options from now on."""
        self.options = options
        self.write("sluice.yaml", self.config())
        done = subprocess.run([self.BINARY, "reload"], cwd=self.folder, capture_output=True,
                              text=True, check=False)
        if done.returncode:
            raise tools.BenchError(f"reload: {done.stderr}")

    def traces(self):
        endpoint = self.options.get("traces")
        return [f'traces: {{endpoint: "{endpoint}", sample: 1%}}'] if endpoint else []

    def policies(self):
        rate = self.options.get("rate")
        if self.options.get("filters"):
            return "[{rate_limit: off}, {shield: off}]"
        if not rate:
            return "[{rate_limit: off}]"
        return f"[{{rate_limit: {{rate: {rate}/s, burst: {rate}}}}}, {{cors: {{origins: ['{ORIGIN}']}}}}]"

    def command(self):
        return [self.BINARY, "run", self.write("sluice.yaml", self.config())]


class Nginx(Proxy):
    name = "nginx"
    BINARY = "/usr/sbin/nginx"

    @classmethod
    def version(cls):
        said = subprocess.run([cls.BINARY, "-v"], capture_output=True, text=True, check=True).stderr
        return re.search(r"nginx/(\S+)", said)[1]

    LOG = """
        log_format json escape=json '{"time":"$time_iso8601","id":"$request_id","client":"$remote_addr",'
            '"method":"$request_method","host":"$host","path":"$uri","query":"$args","target":"$upstream_addr",'
            '"status":$status,"bytes_in":$content_length,"bytes_out":$body_bytes_sent,"duration":$request_time,'
            '"connect":$upstream_connect_time,"answer":$upstream_header_time,"protocol":"$server_protocol",'
            '"user_agent":"$http_user_agent","referer":"$http_referer"}';
        access_log access.log json buffer=64k flush=1s;
        proxy_set_header X-Request-Id $request_id;"""

    def policies(self):
        rate = self.options.get("rate")
        if not rate:
            return ""
        return f"""
    limit_req_zone $binary_remote_addr zone=clients:10m rate={rate}r/s;
    limit_req zone=clients burst={rate} nodelay;
    limit_req_status 429;
    map $http_origin $cors {{ "{ORIGIN}" $http_origin; }}
    add_header Access-Control-Allow-Origin $cors always;
    add_header Vary Origin always;
    add_header X-Request-Id $request_id always;"""

    def config(self):
        count = self.options.get("routes", 0)
        routes = "".join(f"location /r{i}/ {{ proxy_pass http://origin; }}\n" for i in range(count))
        # Small enough that the C library does not give them back to the kernel after each request.
        large = "proxy_buffers 4 16k; proxy_buffer_size 16k; proxy_busy_buffers_size 32k;"
        words, tls = "", ""
        if "certificate" in self.options:
            words = "ssl http2 "
            tls = f"ssl_certificate {self.certificate('cert.pem')}; " \
                  f"ssl_certificate_key {self.certificate('key.pem')}; ssl_protocols TLSv1.2 TLSv1.3;"
        return f"""
worker_processes 1; daemon off; pid {self.path("nginx.pid")}; error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
    client_body_temp_path {self.path("body")}; proxy_temp_path {self.path("proxy")};
    fastcgi_temp_path {self.path("f")}; uwsgi_temp_path {self.path("u")}; scgi_temp_path {self.path("s")};
    {self.LOG if self.options.get("log") else "access_log off;"}{self.policies()}
    keepalive_timeout 75s; keepalive_requests 1000000000; client_body_timeout 60s; client_header_timeout 60s;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host; proxy_max_temp_file_size 0; client_max_body_size 0;
    {large if self.options.get("large") else ""}
    upstream origin {{ server 127.0.0.1:{self.origin}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{self.port} {words}backlog=4096;
        {tls}
        {routes or "location / { proxy_pass http://origin; }"}
    }}
}}
"""

    def command(self):
        return [self.BINARY, "-p", self.folder, "-e", "stderr", "-c", self.write("nginx.conf", self.config())]


class Haproxy(Proxy):
    name = "haproxy"
    BINARY = "/usr/sbin/haproxy"

    @classmethod
    def version(cls):
        said = subprocess.run([cls.BINARY, "-v"], capture_output=True, text=True, check=True).stdout
        return re.search(r"version ([\d.]+)", said)[1]

    LOG = """
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    log stdout len 4096 format raw local0
    log-format '{"time":"%[date,utime(%Y-%m-%dT%H:%M:%SZ)]","id":"%ID","client":"%ci","method":"%HM",\
"host":"%[capture.req.hdr(0),json]","path":"%[capture.req.uri,json]","target":"%b/%s","status":%ST,"bytes_in":%U,\
"bytes_out":%B,"duration_ms":%Ta,"head_ms":%TR,"queue_ms":%Tw,"connect_ms":%Tc,"answer_ms":%Tr,\
"protocol":"%HV","user_agent":"%[capture.req.hdr(1),json]","referer":"%[capture.req.hdr(2),json]"}'
    http-request capture req.hdr(Host) len 128
    http-request capture req.hdr(User-Agent) len 256
    http-request capture req.hdr(Referer) len 256"""

    def policies(self):
        rate = self.options.get("rate")
        if not rate:
            return ""
        return f"""
    stick-table type ip size 100k expire 10s store http_req_rate(1s)
    http-request track-sc0 src
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt {rate} }}
    http-request set-var(txn.origin) req.hdr(Origin) if {{ req.hdr(Origin) -m str {ORIGIN} }}
    http-response set-header Access-Control-Allow-Origin %[var(txn.origin)] if {{ var(txn.origin) -m found }}
    http-response add-header Vary Origin
    http-response set-header X-Request-Id %[unique-id]"""

    def config(self):
        count = self.options.get("routes", 0)
        route = ""
        if count:
            table = self.write("routes.map", "".join(f"/r{i}/ origin\n" for i in range(count)))
            route = f"use_backend %[path,map_beg({table},none)]"
        scheme, tls = "http", ""
        if "certificate" in self.options:
            scheme, tls = "https", f" ssl crt {self.certificate('both.pem')} alpn h2,http/1.1"
        return f"""
global
    nbthread 1
    maxconn 9000
defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 75s
    timeout server 75s
    timeout http-request 60s
    timeout http-keep-alive 75s
frontend front
    bind 127.0.0.1:{self.port} backlog 4096{tls}
    option forwardfor
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]{self.LOG if self.options.get("log") else ""}\
{self.policies()}
    {route or "default_backend origin"}
backend origin
    server one 127.0.0.1:{self.origin} pool-max-conn 256{" proto h2" if self.options.get("h2c") else ""}\
{" check" if self.options.get("check") else ""}
"""

    def command(self):
        return [self.BINARY, "-db", "-f", self.write("haproxy.cfg", self.config())]


class Nghttpx(Proxy):
    """Only in the scenarios with TLS. It has no X-Forwarded-Host: the host goes into Forwarded."""
    name = "nghttpx"
    BINARY = "/usr/sbin/nghttpx"

    @classmethod
    def version(cls):
        said = subprocess.run([cls.BINARY, "--version"], capture_output=True, text=True, check=True).stdout
        return re.search(r"nghttp2/(\S+)", said)[1]

    def config(self):
        protocol = "h2" if self.options.get("h2c") else "http/1.1"
        return f"""
frontend=127.0.0.1,{self.port}
backend=127.0.0.1,{self.origin};;proto={protocol}
certificate-file={self.certificate("cert.pem")}
private-key-file={self.certificate("key.pem")}
workers=1
pid-file={self.path("nghttpx.pid")}
no-ocsp=yes
frontend-keep-alive-timeout=75s
backend-keep-alive-timeout=75s
strip-incoming-x-forwarded-for=yes
add-x-forwarded-for=yes
add-forwarded=host
"""

    def command(self):
        return [self.BINARY, "--conf", self.write("nghttpx.conf", self.config())]


KINDS = {kind.name: kind for kind in (Sluice, Nginx, Haproxy, Nghttpx)}


def present():
    """Names of those that are installed or built, the order they take turns in."""
    return [name for name in ORDER if os.access(KINDS[name].BINARY, os.X_OK)]


@contextlib.contextmanager
def running(name, folder, origin_port, options=None):
    proxy = KINDS[name](os.path.join(folder, name), origin_port, options or {})
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
