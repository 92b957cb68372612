-- SPDX-License-Identifier: Apache-2.0
--
-- Links that somebody who knows the key has made, and that end: /file?expires=1790000000&signature=...
-- where the signature is HMAC-SHA256(key, "<path>\n<expires>") in hexadecimal.

local KEY = "change me"

local function refuse(request, why)
  request:respond(403, nil, why .. "\n")
end

function on_request(request)
  local expires, signature = request:arg("expires"), request:arg("signature")
  if not expires or not signature then
    return refuse(request, "this link is not signed")
  end
  local wanted = sluice.hmac_sha256(KEY, request.path .. "\n" .. expires)
  if not sluice.same(wanted, signature) then
    return refuse(request, "this link was signed by somebody else")
  end
  if not expires:match("^%d+$") or tonumber(expires) < os.time() then
    return refuse(request, "this link has ended")
  end
end
