-- ARGV: prefix, node, number of items, '1' if the node leaves. Removes a node whose lease has
-- expired, and at most so many of the items that it held. Returns 1 if there are more.
local node, n = ARGV[2], tonumber(ARGV[3])
local held = prefix .. 'o' .. node
local ends = call('ZSCORE', all, node)
if ARGV[4] == '1' then
  if ends then call('ZADD', all, 0, node) end
elseif not ends or tonumber(ends) > clock() then
  return 0
end
call('DEL', inboxes .. node, prefix .. 'b' .. node)
local some = call('SPOP', held, n)
for _, item in ipairs(some) do
  local holders = call('GET', prefix .. item)
  if holders then removeHolder(prefix .. item, holders, node) end
end
if #some == n then return 1 end
call('DEL', held)
call('ZREM', all, node)
return 0
