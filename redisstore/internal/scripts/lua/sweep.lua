-- ARGV: prefix, now, n, '1' for a dry run, the node that sweeps. Removes up to n expired sessions
-- in the order of their expiry. The score of an index entry is at or before the expiry; it is
-- corrected here. Returns {1 if there may be more, member, value, …}, and for a dry run {1 if there
-- may be more, expiry, …}.
local dir, limit, n, look = prefix .. 'e', tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local width = look and 1 or 2
local out, budget = {1}, 2 * n + 500

-- verify returns the head of a session whose score is its expiry. Otherwise it corrects the score
-- and returns nil and, if the session has expired, its expiry.
local function verify(id, at)
  local old = head(id)
  local _, seen, expires, due
  if old ~= '' then _, seen, expires, _, due = fields(old) end
  if due ~= at then -- the session is gone, or the entry is obsolete
    local b = page(dir, at)
    call('ZREM', dir .. b, id)
    merge(dir, b)
    return nil, nil
  end
  if expires == at then return old end
  local added = insert(dir, expires, id, lifetime(seen, expires))
  call('SETRANGE', record(id), 26, struct.pack('>I6', expires))
  delete(dir, at, id, added)
  if expires > limit then return nil, nil end
  return nil, expires
end

-- firstDue returns the first entries that are due, as {member, score, …}.
local function firstDue(want)
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
  local due, barrier = firstDue(want), math.huge -- the lowest corrected score
  for i = 1, #due, 2 do
    local id, at = due[i], tonumber(due[i + 1])
    if at > barrier then break end
    if budget <= 0 then return out end
    budget = budget - 1
    local old, expires = verify(id, at)
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
