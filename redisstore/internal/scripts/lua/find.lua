-- ARGV: prefix, index, number of bytes that precede the IDs in its members, n, score, …. Returns
-- {member, value, …} of the sessions with these scores. If there are more than n, only the heads of
-- the values are returned.
local dir, skip, n = prefix .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local all, out = {}, {}
for i = 5, #ARGV do
  local at = ARGV[i]
  local b = call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', 0, 1)[1]
  if b then
    for _, member in ipairs(call('ZRANGEBYSCORE', dir .. b, at, at)) do all[#all + 1] = string.sub(member, skip + 1) end
  end
end
for _, id in ipairs(all) do
  out[#out + 1] = id
  if #all <= n then
    out[#out + 1] = call('GET', record(id)) or ''
  else
    out[#out + 1] = head(id)
  end
end
return out
