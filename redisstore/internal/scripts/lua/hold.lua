-- ARGV: prefix, node, '+' to hold or '-' to release, followed by 'h' .. member or 'k' .. score, ….
-- Returns 1, or 0 if the node must join again.
local node = ARGV[2]
local held = prefix .. 'o' .. node
if not alive(node) or not call('ZSCORE', all, node) then return 0 end
for i = 3, #ARGV do
  local item = string.sub(ARGV[i], 2)
  local key = prefix .. item
  local holders = call('GET', key) or ''
  if string.sub(ARGV[i], 1, 1) == '+' then
    call('SADD', held, item)
    local there = false
    for name in names(holders) do there = there or name == node end
    call('SET', key, there and holders or holders .. node, 'PX', KEEP)
  else
    removeHolder(key, holders, node)
    call('SREM', held, item)
  end
end
call('PEXPIRE', held, KEEP)
return 1
