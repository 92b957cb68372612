# SPDX-License-Identifier: Apache-2.0
"""A real browser: a page over HTTP/2 and TLS that fetches, uploads and speaks WebSocket, all on one connection."""

import json

from lib import websocket
from lib.pki import Authority
from lib.wait import DEADLINE, until

ITEMS = 20
UPLOAD = 300_000

# What the page finds out it posts to /result; it needs nothing from outside.
PAGE = b"""<!doctype html><title>test</title><script>
(async () => {
  const found = {};
  try {
    const items = await Promise.all([...Array(%d).keys()].map(async n => (await fetch('/item/' + n)).text()));
    found.items = items;
    found.echo = (await (await fetch('/echo', {method: 'POST', body: 'x'.repeat(%d)})).text()).length;
    found.protocols = performance.getEntriesByType('resource').map(e => e.nextHopProtocol);
    found.socket = await new Promise((good, bad) => {
      const socket = new WebSocket('wss://' + location.host + '/socket');
      socket.onopen = () => socket.send('hello');
      socket.onmessage = event => { good(event.data); socket.close(); };
      socket.onerror = () => bad('the socket failed');
    });
  } catch (error) { found.error = String(error); }
  await fetch('/result', {method: 'POST', body: JSON.stringify(found)});
})();
</script>""" % (ITEMS, UPLOAD)


def serve(origin):
    origin.on("/")(lambda conn, request: conn.respond(200, PAGE, [("Content-Type", "text/html")]))
    for n in range(ITEMS):
        origin.on(f"/item/{n}")(lambda conn, request: conn.respond(200, request.path.encode()))

    @origin.on("/echo")
    def echo(conn, request):
        conn.read_body(request, DEADLINE)
        conn.respond(200, request.body)

    @origin.on("/result")
    def result(conn, request):
        conn.read_body(request, DEADLINE)
        conn.respond(200, b"ok")

    @origin.on("/socket")
    def talk(conn, request):
        accept = websocket.accept_of(request.header("Sec-WebSocket-Key"))
        conn.send(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                  f"Sec-WebSocket-Accept: {accept}\r\n\r\n")
        websocket.echo(lambda n: conn.exactly(n, "a message", DEADLINE), conn.send)
        return "end"


def test_a_page_in_a_browser(gateway, origin, home, browse):
    serve(origin)
    gw = gateway(origin, run=False)
    leaf = Authority(home).leaf("localhost")
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": {"certificates": [leaf.pair]}}])
    gw.start()
    browse(f"https://localhost:{gw.port}/")
    (request,) = until(lambda: [r for r in origin.requests if r.path == "/result"], "the page's result", 6 * DEADLINE)
    found = json.loads(request.body)
    assert "error" not in found, found
    assert found["items"] == [f"/item/{n}" for n in range(ITEMS)]
    assert found["echo"] == UPLOAD and found["socket"] == "hello"
    assert set(found["protocols"]) == {"h2"}
    assert gw.log("/socket")["protocol"] == "HTTP/2"  # RFC 8441
