-- remove removes a session, with what is kept for it, and notifies its holders but the node by. old
-- is its value or the beginning. drop deletes its members of the indexes by activity and expiry.
local function remove(id, old, by, reason, drop)
  local _, _, _, _, due, active, user, client = fields(old)
  local holders = call('GET', prefix .. 'h' .. id)
  local ofClient = client > 0 and began(old, id) .. id
  call('DEL', record(id), prefix .. 'ms' .. id, prefix .. 'qs' .. id)
  if holders then notifyEnd(id, holders, by, reason) end
  drop(prefix .. 'a', active, id)
  if due > 0 then drop(prefix .. 'e', due, id) end
  if user > 0 then delete(prefix .. 'u', user, id) end
  if client > 0 then delete(prefix .. 'c', client, ofClient) end
end
