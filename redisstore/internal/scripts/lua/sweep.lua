-- ARGV: prefix, now, n, '1' to look only, the node that does it. Goes through the sessions in the order in which they expired. An entry of the index stands at or
-- before the expiry: one that is too early is moved. Returns {1 if there may be more,
-- member, value, …}, or when looking {…, expiry, …}.
local dir, limit, n, look = prefix .. 'e', tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local width = look and 1 or 2
local out, budget = {1}, 2 * n + 500

-- settle returns the head of a session whose place is its expiry. Otherwise it makes the place right, and returns nil and, if the session has
-- expired, when.
local function settle(id, at)
  local old = head(id)
  local _, seen, expires, due
  if old ~= '' then _, seen, expires, _, due = fields(old) end
  if due ~= at then -- the session is gone, or the entry is out of date
    local b = page(dir, at)
    call('ZREM', dir .. b, id)
    shrink(dir, b)
    return nil, nil
  end
  if expires == at then return old end
  local added = add(dir, expires, id, lifetime(seen, expires))
  call('SETRANGE', record(id), 26, struct.pack('>I6', expires))
  del(dir, at, id, added)
  if expires > limit then return nil, nil end
  return nil, expires
end

-- first returns the first entries that are due, as {member, place, …}.
local function first(want)
  local due, offset = {}, 0
  while #due < 2 * want do
    local names = call('ZRANGEBYSCORE', dir, '-inf', limit, 'LIMIT', offset, 8)
    for _, b in ipairs(names) do
      local some = call('ZRANGEBYSCORE', dir .. b, '-inf', limit, 'WITHSCORES', 'LIMIT', 0, want - #due / 2)
      for _, each in ipairs(some) do due[#due + 1] = each end
      if #due >= 2 * want then break end
    end
    if #names < 8 then break end
    offset = offset + 8
  end
  return due
end

while #out - 1 < width * n do
  if look then out = {1} end
  local want = n - (#out - 1) / width
  local due, barrier = first(want), math.huge -- where one that was moved has come to
  for i = 1, #due, 2 do
    local id, at = due[i], tonumber(due[i + 1])
    if at > barrier then break end
    if budget <= 0 then return out end
    budget = budget - 1
    local old, expires = settle(id, at)
    if old and look then
      out[#out + 1] = due[i + 1]
    elseif old then
      out[#out + 1] = id
      out[#out + 1] = call('GET', record(id))
      remove(id, old, ARGV[5], 'swept')
    elseif expires then
      barrier = math.min(barrier, expires)
    end
  end
  if #due < 2 * want and barrier == math.huge then
    out[1] = 0
    break
  end
end
return out
