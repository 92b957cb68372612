# SPDX-License-Identifier: Apache-2.0
"""The three that are compared, each with one worker on the first core, configured for the same job: keep-alive to the
client and to the origin, the usual forwarding headers, and where asked for a JSON access log into a file."""
import contextlib
import os
import re
import subprocess

import tools

ORDER = ["sluice", "nginx", "haproxy"]


class Proxy:
    """One running proxy. `options`: log (bool), routes (how many; 0: everything goes to the origin), large (bool:
    buffers fit for large bodies), env (more environment)."""
    name = ""

    def __init__(self, folder, origin_port, options):
        self.folder, self.origin, self.options = folder, origin_port, options
        self.port = tools.free_port()
        self.process = None
        os.makedirs(folder, exist_ok=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.path("output"), "wb") as output:
            self.process = tools.spawn(tools.PROXY_CORE, self.command(), stdout=output, stderr=subprocess.STDOUT,
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
    BINARY = os.environ.get("SLUICE_BIN", os.path.join(tools.BUILD, "sluice"))

    @classmethod
    def version(cls):
        return subprocess.run([cls.BINARY, "version"], capture_output=True, text=True, check=True).stdout.split()[-1]

    def config(self):
        log = "{path: access.log, format: json}" if self.options.get("log") else "{format: off}"
        self.admin = tools.free_port()
        lines = ["workers: 1", f"state: {self.path('state')}", f'listeners: [{{bind: "127.0.0.1:{self.port}"}}]',
                 f'admin: {{bind: "127.0.0.1:{self.admin}"}}', f"log: {log}",
                 f'services: {{origin: {{targets: ["127.0.0.1:{self.origin}"]}}}}']
        if self.options.get("routes"):
            lines.append("routes:")
            lines += [f"  - {{paths: [/r{i}/*], service: origin}}" for i in range(self.options["routes"])]
        return "\n".join(lines) + "\n"

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

    def config(self):
        count = self.options.get("routes", 0)
        routes = "".join(f"location /r{i}/ {{ proxy_pass http://origin; }}\n" for i in range(count))
        large = "proxy_buffers 16 64k; proxy_buffer_size 16k; proxy_busy_buffers_size 128k;"
        return f"""
worker_processes 1; daemon off; pid {self.path("nginx.pid")}; error_log stderr crit;
worker_rlimit_nofile 20000;
events {{ worker_connections 19000; }}
http {{
    client_body_temp_path {self.path("body")}; proxy_temp_path {self.path("proxy")};
    fastcgi_temp_path {self.path("f")}; uwsgi_temp_path {self.path("u")}; scgi_temp_path {self.path("s")};
    {self.LOG if self.options.get("log") else "access_log off;"}
    keepalive_timeout 75s; keepalive_requests 1000000000; client_body_timeout 60s; client_header_timeout 60s;
    proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host; proxy_max_temp_file_size 0; client_max_body_size 0;
    {large if self.options.get("large") else ""}
    upstream origin {{ server 127.0.0.1:{self.origin}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
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

    def config(self):
        count = self.options.get("routes", 0)
        route = ""
        if count:
            table = self.write("routes.map", "".join(f"/r{i}/ origin\n" for i in range(count)))
            route = f"use_backend %[path,map_beg({table},none)]"
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
    bind 127.0.0.1:{self.port} backlog 4096
    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]{self.LOG if self.options.get("log") else ""}
    {route or "default_backend origin"}
backend origin
    server one 127.0.0.1:{self.origin} pool-max-conn 256
"""

    def command(self):
        return [self.BINARY, "-db", "-f", self.write("haproxy.cfg", self.config())]


KINDS = {kind.name: kind for kind in (Sluice, Nginx, Haproxy)}


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
