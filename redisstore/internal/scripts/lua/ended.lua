-- notifyEnd tells the holders of a session but the node by that it has ended.
local function notifyEnd(id, holders, by, reason)
  local item = 'h' .. id
  for node in names(holders) do
    if node ~= by then deliver(node, 'e' .. string.char(#reason) .. reason .. id) end
    call('SREM', prefix .. 'o' .. node, item)
  end
  call('DEL', prefix .. item)
end
