-- ARGV: prefix, index, number of bytes that precede the IDs in its members, n, score, …. Returns
-- {member, value, …} of the sessions with these scores. If there are more than n, only the heads of
-- the values are returned.
local dir, skip, n = prefix .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local all, out = {}, {}
for i = 5, #ARGV do
  local at = ARGV[i]
  local b = call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', '0', '1')[1]
  if b then
    for _, member in ipairs(call('ZRANGEBYSCORE', dir .. b, at, at)) do all[#all + 1] = string.sub(member, skip + 1) end
  end
end
if #all > n then
  for _, id in ipairs(all) do
    out[#out + 1] = id
    out[#out + 1] = head(id)
  end
elseif #all > 0 then
  local keys = {}
  for i, id in ipairs(all) do keys[i] = record(id) end
  for i, value in ipairs(call('MGET', unpack(keys))) do
    out[2 * i - 1], out[2 * i] = all[i], value or ''
  end
end
return out
