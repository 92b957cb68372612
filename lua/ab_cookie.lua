-- SPDX-License-Identifier: Apache-2.0
--
-- A/B test: each client is put into a group once, by chance, and keeps it by a cookie. The target gets the
-- group in X-Group and decides what to show.

local NAME, SHARE_OF_B, DAYS = "group", 0.2, 30

function on_request(request)
  local group = request:cookie(NAME)
  if group ~= "a" and group ~= "b" then
    group = math.random() < SHARE_OF_B and "b" or "a"
    request.context.fresh = group
  end
  request:set_header("X-Group", group)
end

function on_response(request, response)
  local fresh = request.context.fresh
  if fresh then
    response:add_header("Set-Cookie", ("%s=%s; Path=/; Max-Age=%d; SameSite=Lax"):format(NAME, fresh, DAYS * 86400))
  end
end
