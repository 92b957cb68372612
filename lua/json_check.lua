-- SPDX-License-Identifier: Apache-2.0
--
-- Orders must name an item and how many; what the client may not say is taken out before the target sees it.

local function is_good(order)
  return type(order) == "table" and type(order.item) == "string" and #order.item > 0
    and type(order.count) == "number" and order.count >= 1 and order.count <= 100 and order.count % 1 == 0
end

function on_body(request, body)
  local order = sluice.json.decode(body)
  if not is_good(order) then
    return false -- 403 with the reason script_denied
  end
  if order.price ~= nil then
    order.price = nil
    return sluice.json.encode(order)
  end
end
