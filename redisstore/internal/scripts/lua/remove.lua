-- remove removes a session that begins like that, with its head at least, and tells those who hold it, but for the node that does it.
local function remove(id, old, by, reason)
  local _, _, _, _, due, active, user, client = fields(old)
  local item = 'h' .. id
  local holders = call('GET', prefix .. item)
  local ofClient = client > 0 and began(old, id) .. id
  call('DEL', record(id))
  if holders then
    for node in names(holders) do
      if node ~= by then tell(node, 'e' .. string.char(#reason) .. reason .. id) end
      call('SREM', prefix .. 'o' .. node, item)
    end
    call('DEL', prefix .. item)
  end
  del(prefix .. 'a', active, id)
  if due > 0 then del(prefix .. 'e', due, id) end
  if user > 0 then del(prefix .. 'u', user, id) end
  if client > 0 then del(prefix .. 'c', client, ofClient) end
end
