-- ARGV: prefix, n, score of a client, …. Returns {member, value, …} of up to n sessions for each
-- score, those that began last, the newest first.
local dir, n, out = prefix .. 'c', tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  local at = ARGV[i]
  local b = call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', '0', '1')[1]
  local found, looked = 0, 0
  while b and found < n and looked < n + 100 do -- an entry may be obsolete
    local some = call('ZREVRANGEBYSCORE', dir .. b, at, at, 'LIMIT', looked, n - found)
    if #some == 0 then break end
    looked = looked + #some
    for _, member in ipairs(some) do
      local id = string.sub(member, BEGAN + 1)
      local old = beginning(id)
      if old ~= '' and ({fields(old)})[8] == tonumber(at) and began(old, id) .. id == member then
        found = found + 1
        out[#out + 1] = id
        out[#out + 1] = call('GET', record(id))
      end
    end
  end
end
return out
