-- ARGV: prefix, node, the name that it had before or ''. Returns {the last entry of its inbox, the server}.
local node, before = ARGV[2], ARGV[3]
if before ~= '' then -- which the others may bury now
  call('ZADD', all, 'XX', 0, before)
  call('DEL', inboxes .. before, prefix .. 'b' .. before)
end
local last = call('XADD', inboxes .. node, '*', 'e', 'j')
renew(node, clock())
return {last, server()}
