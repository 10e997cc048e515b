-- ARGV: prefix, index, place, n. Returns {member, value, …} of those at the place; of more than n, only the beginnings of the values.
local dir, at, n = prefix .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local out = {}
local b = call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', 0, 1)[1]
if not b then return out end
local members = call('ZRANGEBYSCORE', dir .. b, at, at)
for _, id in ipairs(members) do
  out[#out + 1] = id
  if #members <= n then
    out[#out + 1] = call('GET', record(id)) or ''
  else
    out[#out + 1] = head(id)
  end
end
return out
