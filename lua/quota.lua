-- SPDX-License-Identifier: Apache-2.0
--
-- So many requests a day for each consumer, over all workers; who is nobody counts by address. The filter
-- that says who it is (jwt, api_key, ...) stands before this one.

local DAILY = {free = 1000, pro = 100000}
local used = sluice.shared("quota")

function on_request(request)
  local limit = DAILY[request.tier or "free"] or DAILY.free
  local now = os.time()
  local key = (request.consumer or request.client) .. " " .. math.floor(now / 86400)
  local count = used:incr(key, 1, 86400)
  request.context.left = limit - count
  if count > limit then
    request:respond(429, {["Retry-After"] = 86400 - now % 86400}, "no more requests today\n")
  end
end

function on_response(request, response)
  local left = request.context.left
  if left then
    response:set_header("X-Quota-Left", math.max(0, left))
  end
end
