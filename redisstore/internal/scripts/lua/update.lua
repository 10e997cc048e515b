-- Compare and set. ARGV: prefix, member, expected revision as 6 bytes, value, the node that stores
-- it, the first and the last position in the value of what determines when the session began.
-- Returns the new revision, or -10 minus the revision if the change affects who may use the session.
-- Returns -1 if the session doesn't exist, -2 if it has another revision, -3 if another node has
-- reserved it or the logins of the user are locked.
local id, value = ARGV[2], ARGV[4]
local key = record(id)
local old = beginning(id)
if old == '' then return -1 end
if string.sub(old, 3, 8) ~= ARGV[3] then return -2 end

-- store stores the value with these numbers in its head.
local function store(revision, seen, expires, finish, due, active, ttl)
  local head = struct.pack('>I6I6I6I6I6I6', revision, seen, expires, finish, due, active)
  value = string.sub(value, 1, 2) .. head .. string.sub(value, 39)
  if ttl then
    call('SET', key, value, 'PX', ttl)
  else
    call('SET', key, value)
  end
end

-- Most updates leave the session where it is in the indexes and have no holder to notify. They are
-- done here, before the functions for the others are defined: to define one takes as long as a
-- command.
local function plain()
  local from, to = tonumber(ARGV[6]), tonumber(ARGV[7])
  if string.sub(old, 39, 56) ~= string.sub(value, 39, 56) or string.byte(old, 2) ~= string.byte(value, 2) or
    string.sub(old, from, to) ~= string.sub(value, from, to) then return end
  local revision, oseen, _, _, due, active = struct.unpack('>I6I6I6I6I6I6', old, 3)
  local seen, expires, finish = struct.unpack('>I6I6I6', value, 9)
  if oseen > seen or math.floor(seen / 60000) ~= math.floor(active / 60000) or due > expires or
    due == 0 and expires > 0 then return end
  local ttl = expires > 0 and math.max(expires - seen, 0) + 2 * 86400000
  local ends = call('PEXPIRETIME', key)
  if ttl and ends >= 0 and math.floor((call('TIME')[1] * 1000 + ttl) / 86400000) > math.floor(ends / 86400000) or
    not ttl and ends >= 0 then return end
  local others = call('MGET', prefix .. 'h' .. id, prefix .. 'x' .. id)
  if others[1] or others[2] then return end
  store(revision + 1, seen, expires, finish, due, active, ttl)
  return revision + 1
end
local revision = plain()
if revision then return revision end
