-- The scores of a session in the indexes, and its time to live.
local MARGIN = 2 * DAY
local MINUTE = 60000

-- lifetime returns the time to live of a session in ms, nil for unlimited. It is a duration, so
-- that the clocks of Redis and of its clients need not agree.
local function lifetime(seen, expires)
  if expires == 0 then return nil end
  return math.max(expires - seen, 0) + MARGIN
end

-- forward returns the expiry after seen has moved by ahead, as store.KeepSeen does.
local function forward(ahead, expires, finish)
  if expires > 0 then
    expires = expires + ahead
    if finish > 0 and expires > finish then expires = finish end
  end
  return expires
end

-- activity returns the score in the index by activity, which changes once a minute.
local function activity(seen, active)
  if math.floor(seen / MINUTE) == math.floor(active / MINUTE) then return active end
  return seen
end

-- expiry returns the score in the index by expiry, at or before the expiry, so that it need not
-- change with every touch. 0 means that the session isn't in the index.
local function expiry(expires, due)
  if due > 0 and due <= expires then return due end
  return expires
end

-- extendPages extends the pages to the time to live that a session is about to get. It does so once
-- a day.
local function extendPages(key, ttl, due, active, user, client)
  local ends = call('PEXPIRETIME', key)
  if ends < 0 or ttl and tonumber(endOfDay(ttl)) <= (math.floor(ends / DAY) + 1) * DAY then return end
  for index, at in pairs({ e = due, a = active, u = user, c = client }) do
    local dir = prefix .. index
    if at > 0 or index == 'a' then extendPage(dir, page(dir, at) or '0', ttl) end
  end
end
