-- ARGV: prefix, now, n, '1' for a dry run, the node that sweeps. Removes up to n expired sessions
-- in the order of their expiry. The score of an index entry is at or before the expiry; it is
-- corrected here. Returns {1 if there may be more, member, value, …}, and for a dry run {1 if there
-- may be more, expiry, …}.
local dir, limit, n, look = prefix .. 'e', tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local width = look and 1 or 2
local out, budget = {1}, 2 * n + 500

-- verify returns whether the score of a session, whose value is old, is its expiry. Otherwise it
-- corrects the score and returns false and, if the session has expired, its expiry.
local function verify(id, at, old)
  local _, seen, expires, due
  if old then _, seen, expires, _, due = fields(old) end
  if due ~= at then -- the session is gone, or the entry is obsolete
    delete(dir, at, id)
    return false
  end
  if expires == at then return true end
  local added = insert(dir, text(expires), id, lifetime(seen, expires))
  call('SETRANGE', record(id), 26, struct.pack('>I6', expires))
  delete(dir, at, id, added)
  return false, expires <= limit and expires
end

-- later notes a member that flush deletes, together with others of its page.
local noted = {}
local function later(dir, at, id)
  local of = noted[dir] or {}
  noted[dir] = of
  of[#of + 1] = { at, id }
end

local function flush()
  for dir, all in pairs(noted) do
    local pages = {}
    for _, each in ipairs(all) do
      local b = page(dir, each[1])
      if b then
        pages[b] = pages[b] or {}
        table.insert(pages[b], each[2])
      end
    end
    for b, members in pairs(pages) do
      call('ZREM', dir .. b, unpack(members))
      merge(dir, b)
    end
  end
  noted = {}
end

-- firstDue returns the first entries that are due, as {member, score, …}.
local function firstDue(want)
  local due, offset = {}, 0
  while #due < 2 * want do
    local names = call('ZRANGEBYSCORE', dir, '-inf', limit, 'LIMIT', offset, '8')
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
  local keys = {}
  for i = 1, #due, 2 do keys[#keys + 1] = record(due[i]) end
  local values = #keys > 0 and call('MGET', unpack(keys))
  for i = 1, #due, 2 do
    local id, at, value = due[i], tonumber(due[i + 1]), values[(i + 1) / 2]
    if at > barrier then break end
    if budget <= 0 then
      flush()
      return out
    end
    budget = budget - 1
    local expired, corrected = verify(id, at, value)
    if expired and look then
      out[#out + 1] = due[i + 1]
    elseif expired then
      out[#out + 1] = id
      out[#out + 1] = value
      remove(id, value, ARGV[5], 'swept', later)
    elseif corrected then
      barrier = math.min(barrier, corrected)
    end
  end
  flush()
  if #due < 2 * want and barrier == math.huge then
    out[1] = 0
    break
  end
end
return out
