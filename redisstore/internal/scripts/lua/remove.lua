-- remove removes a session, with what is kept for it, and notifies its holders but the node by. old is its head or beginning.
local function remove(id, old, by, reason)
  local _, _, _, _, due, active, user, client = fields(old)
  local item = 'h' .. id
  local holders = call('GET', prefix .. item)
  local ofClient = client > 0 and began(old, id) .. id
  call('DEL', record(id), prefix .. 'ms' .. id, prefix .. 'qs' .. id)
  if holders then
    for node in names(holders) do
      if node ~= by then deliver(node, 'e' .. string.char(#reason) .. reason .. id) end
      call('SREM', prefix .. 'o' .. node, item)
    end
    call('DEL', prefix .. item)
  end
  delete(prefix .. 'a', active, id)
  if due > 0 then delete(prefix .. 'e', due, id) end
  if user > 0 then delete(prefix .. 'u', user, id) end
  if client > 0 then delete(prefix .. 'c', client, ofClient) end
end
