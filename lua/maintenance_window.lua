-- SPDX-License-Identifier: Apache-2.0
--
-- Every Sunday from 02:00 to 02:30 UTC only reading is allowed: all that would write gets a 503 that says
-- when to come back.

local WEEKDAY, FROM, TO = 1, 2 * 60, 2 * 60 + 30 -- Sunday is 1; minutes of the day
local READING = {GET = true, HEAD = true, OPTIONS = true}

-- Seconds until the window closes; nil outside.
local function closes_in(now)
  local minute = now.hour * 60 + now.min
  if now.wday == WEEKDAY and minute >= FROM and minute < TO then
    return (TO - minute) * 60 - now.sec
  end
end

function on_request(request)
  local seconds = closes_in(os.date("!*t"))
  if seconds and not READING[request.method] then
    request:respond(503, {["Retry-After"] = seconds, ["Content-Type"] = "application/json"},
                    sluice.json.encode({reason = "maintenance_window", seconds = seconds}))
  end
end
