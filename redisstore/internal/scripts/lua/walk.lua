-- ARGV: prefix, index, from, n. Returns {the score to continue from or '' at the end, member,
-- score, …}: the members from a score on, n and up to a page more.
local dir, from, n = prefix .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local out = {''}
local b = call('ZREVRANGEBYSCORE', dir, from, '-inf', 'LIMIT', 0, 1)[1]
while b do
  for _, each in ipairs(call('ZRANGEBYSCORE', dir .. b, from, '+inf', 'WITHSCORES')) do out[#out + 1] = each end
  b = call('ZRANGEBYSCORE', dir, '(' .. b, '+inf', 'LIMIT', 0, 1)[1]
  if b and #out > 2 * n then
    out[1] = b
    break
  end
end
return out
