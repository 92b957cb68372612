-- SPDX-License-Identifier: Apache-2.0
--
-- Fields by the time and by the path: the target learns which shift works, and caches learn how long an
-- answer may be kept.
--
--   filters:
--     - lua: {script: lua/hello.lua}

local function shift(hour)
  return hour >= 6 and hour < 18 and "day" or "night"
end

function on_request(request)
  request:set_header("X-Shift", shift(os.date("!*t").hour))
end

function on_response(request, response)
  response:set_header("X-Hello", "from " .. (request.host or "here"))
  if response.status == 200 and request.path:match("^/assets/.*%.%x%x%x%x%x%x%x%x%.") then
    response:set_header("Cache-Control", "public, max-age=31536000, immutable") -- the name changes with the content
  end
end
