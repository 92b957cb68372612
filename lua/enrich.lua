-- SPDX-License-Identifier: Apache-2.0
--
-- Asks the service `users` who the session belongs to, and tells the target. Sessions are remembered for a
-- minute, so that most requests ask nobody.

local known = sluice.shared("sessions")

local function find(request, session)
  local user = known:get(session)
  if user then
    return user
  end
  local answer, reason = request:fetch("users", {path = "/session", headers = {["X-Session"] = session}, timeout = 1})
  if not answer then
    print("users does not answer: " .. reason)
    return nil
  end
  user = answer.status == 200 and answer.body or ""
  known:set(session, user, 60)
  return user
end

function on_request(request)
  request:remove_header("X-User")
  local session = request:cookie("session")
  local user = session and #session <= 64 and find(request, session)
  if user and user ~= "" then
    request:set_header("X-User", user)
  end
end
