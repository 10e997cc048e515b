-- ARGV: prefix, member, node, '1' to reserve the session, '0' to release it. Returns 1, or 0 if
-- another node has it.
local key = prefix .. 'x' .. ARGV[2]
local owner = call('GET', key)
if owner and owner ~= ARGV[3] then return 0 end
if ARGV[4] == '1' then
  call('SET', key, ARGV[3], 'PX', 1000)
elseif owner then
  call('DEL', key)
end
return 1
