-- Compare and set. ARGV: prefix, member, expected revision as 6 bytes, value. Returns the new revision; -1: there
-- is no such session; -2: another revision.
local id, value = ARGV[2], ARGV[4]
local key = record(id)
local old = head(id)
local revision, oseen, odue, oactive, ouser, oclient, _
if old == '' then
  if ARGV[3] ~= '\0\0\0\0\0\0' then return -1 end
  revision, oseen, odue, ouser, oclient = 0, 0, 0, 0, 0
else
  if string.sub(old, 3, 8) ~= ARGV[3] then return -2 end
  revision, oseen, _, _, odue, oactive, ouser, oclient = fields(old)
end
local _, seen, expires, finish, _, _, user, client = fields(value)
if oseen > seen then
  expires = forward(oseen - seen, expires, finish)
  seen = oseen
end
local ttl, due, active = lifetime(seen, expires), expiry(expires, odue), activity(seen, oactive)
local function move(index, from, to)
  if to > 0 and to ~= from then return add(prefix .. index, to, id, ttl) end
end
local byActivity
if active ~= oactive then byActivity = add(prefix .. 'a', active, id, ttl) end
local byExpiry, byUser, byClient = move('e', odue, due), move('u', ouser, user), move('c', oclient, client)

if old ~= '' then prolong(key, ttl, due, active, user, client) end
revision = revision + 1
value = string.sub(value, 1, 2) .. struct.pack('>I6I6I6I6I6I6', revision, seen, expires, finish, due, active) .. string.sub(value, 39)
if ttl then
  call('SET', key, value, 'PX', ttl)
else
  call('SET', key, value)
end

if oactive and active ~= oactive then del(prefix .. 'a', oactive, id, byActivity) end
if odue > 0 and due ~= odue then del(prefix .. 'e', odue, id, byExpiry) end
if ouser > 0 and user ~= ouser then del(prefix .. 'u', ouser, id, byUser) end
if oclient > 0 and client ~= oclient then del(prefix .. 'c', oclient, id, byClient) end
return revision
