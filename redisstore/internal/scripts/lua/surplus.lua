-- ARGV: prefix, n, score of a client's sessions without a user. Returns {their number, member of
-- the index, …} of up to n sessions, the oldest first. Obsolete entries are removed, because they
-- would be returned again and again.
local dir, n, at = prefix .. 'c', tonumber(ARGV[2]), ARGV[3]
local b = call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', '0', '1')[1]
if not b then return {0} end
local out = {0}
for _, member in ipairs(call('ZRANGEBYSCORE', dir .. b, at, at, 'LIMIT', 0, n)) do
  local old = head(string.sub(member, BEGAN + 1))
  if old ~= '' and ({fields(old)})[8] == tonumber(at) then
    out[#out + 1] = member
  else
    call('ZREM', dir .. b, member)
  end
end
out[1] = call('ZCOUNT', dir .. b, at, at)
return out
