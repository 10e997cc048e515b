-- ARGV: prefix, node, its previous name or ''. Registers the node. Returns {ID of the last entry of
-- its inbox, the server}.
local node, before = ARGV[2], ARGV[3]
if before ~= '' then -- the other nodes may deregister it now
  call('ZADD', all, 'XX', 0, before)
  call('DEL', inboxes .. before, prefix .. 'b' .. before)
end
local last = call('XADD', inboxes .. node, '*', 'e', 'j')
renew(node, clock())
return {last, server()}
