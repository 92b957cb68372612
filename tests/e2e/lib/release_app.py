# SPDX-License-Identifier: Apache-2.0
"""An app whose release's name says what it is: `crash` on boot, `dies` there with odd words, `never` answers, `bad` fails
30 % of its requests, `poor` 5 %, `slow` takes three times as long, `lazy` needs two seconds until it listens, `stubborn`
goes on when it is told to end. /hold is answered once there is a file `go` beside it."""

APP = """
import http.server, os, random, signal, sys, threading
name = sys.argv[1]
share = 0.3 if "bad" in name else 0.05 if "poor" in name else 0
if "crash" in name:
    sys.exit("no configuration, giving up")
if "dies" in name:  # with a last line that is longer than what is shown of it
    sys.stderr.buffer.write(b"\\xff x" + "\\u0436".encode() * 100 + b"\\n")
    sys.exit(1)
if "never" in name:
    signal.pause()
if "stubborn" in name:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if "lazy" in name:
    threading.Event().wait(2)
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        threading.Event().wait(0.03 if "slow" in name else 0.01)
        while self.path == "/hold" and not os.path.exists(os.path.join(os.path.dirname(sys.argv[0]), "go")):
            threading.Event().wait(0.05)
        body = name.encode()
        self.send_response(500 if random.random() < share else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"""
