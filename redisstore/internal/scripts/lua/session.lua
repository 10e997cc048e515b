-- What the indexes say of a session, and for how long it stays in Redis.
local MARGIN = 2 * DAY
local MINUTE = 60000

-- lifetime returns for how many ms Redis keeps a session; nil: it doesn't expire. It is a length of time, so that the clocks of
-- Redis and of those who use it need not agree.
local function lifetime(seen, expires)
  if expires == 0 then return nil end
  return math.max(expires - seen, 0) + MARGIN
end

-- forward applies a later seen, as store.KeepSeen does.
local function forward(ahead, expires, finish)
  if expires > 0 then
    expires = expires + ahead
    if finish > 0 and expires > finish then expires = finish end
  end
  return expires
end

-- activity returns the place in the index by activity: it moves once a minute.
local function activity(seen, active)
  if active and math.floor(seen / MINUTE) == math.floor(active / MINUTE) then return active end
  return seen
end

-- expiry returns the place in the index by expiry: at or before the expiry, so that it need not move with every touch. 0: none.
local function expiry(expires, due)
  if due and due > 0 and due <= expires then return due end
  return expires
end

-- prolong has the pages live as long as a session that is about to get this time to live. They are looked at once a day.
local function prolong(key, ttl, due, active, user, client)
  local ends = call('PEXPIRETIME', key)
  if ends < 0 or ttl and till(ttl) <= till(nil, ends) then return end
  for index, at in pairs({ e = due, a = active, u = user, c = client }) do
    local dir = prefix .. index
    if at > 0 or index == 'a' then last(dir, page(dir, at) or '0', ttl) end
  end
end
