# SPDX-License-Identifier: Apache-2.0
"""Scripts under 10,000 requests a second of ordinary use: nothing fails, nothing is lost count of, memory stays."""

import json
import os
import re
import subprocess
from pathlib import Path

from lib.wait import SLOW, until

SECONDS = int(os.environ.get("SOAK_LUA_SECONDS", "30"))
CONNECTIONS, RATE = 20, int(10_000 / SLOW)

SCRIPT = """
local counters = sluice.shared("counters")
function on_request(request)
  local who = request:header("user-agent") or "nobody"
  request:set_header("X-Seen", string.lower(who))
  counters:incr("asked", 1, 3600)
end
function on_response(request, response)
  response:set_header("X-Told", sluice.json.encode({path = request.path, status = response.status}))
end
function on_log(request, response)
  counters:incr("logged", 1, 3600)
end
"""

COUNT = """
function on_request(request)
  local counters = sluice.shared("counters")
  request:respond(200, {}, counters:get("asked") .. " " .. counters:get("logged"))
end
"""


def test_ten_thousand_a_second(origin, gateway, home):
    for name, text in (("work.lua", SCRIPT), ("count.lua", COUNT)):
        Path(home, name).write_text(text)
    gw = gateway(origin, workers=2, log={"format": "off"}, routes=[
        {"paths": ["/work"], "respond": {"status": 200, "body": "done"}, "filters": [{"lua": {"script": f"{home}/work.lua"}}]},
        {"paths": ["/count"], "service": "app", "filters": [{"lua": {"script": f"{home}/count.lua"}}]},
        {"paths": ["/plain"], "service": "app"}])
    assert json.loads(gw.get("/work").header("X-Told")) == {"path": "/work", "status": 200}
    load = subprocess.Popen(
        ["h2load", "--h1", "-c", str(CONNECTIONS), f"--rps={RATE // CONNECTIONS}", "-D", str(SECONDS),
         f"http://127.0.0.1:{gw.port}/work"], stdout=subprocess.PIPE, text=True)
    residents, plain = [], 0
    while load.poll() is None:
        assert gw.get("/plain").text == "ok"
        plain += 1
        residents.append(gw.resident())
    out = load.stdout.read()
    done = re.search(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, 0 failed, 0 errored, 0 timeout", out)
    assert done and done[1] == done[2] and int(done[1]) > RATE * SECONDS * 0.8, out
    until(lambda: len(set(gw.get("/count").text.split())) == 1, "each request was seen by both ends of the script")
    assert int(gw.get("/count").text.split()[0]) > int(done[1])  # the first one, and those that the end cut
    quarter = len(residents) // 4
    assert plain > 10 and max(residents[-quarter:]) < max(residents[:quarter]) + (16 << 20), residents
