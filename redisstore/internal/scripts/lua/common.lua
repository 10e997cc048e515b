-- The beginning of every script. ARGV[1] is the key prefix of the shard. Its keys are:
--   prefix .. 's' .. member: a session
--   prefix .. 'e', 'a', 'u', 'c': the indexes by expiry, activity, user and client
--   prefix .. 'h', 'k', 'o', 'i', 'b', 'n': the data of nodes
--   prefix .. 'l', 'x': locks on users, reservations of sessions
--   prefix .. 'm', 'q': messages that are kept, and their last number
-- KEYS only select the slot.
local call = redis.call
local prefix = ARGV[1]
local HEAD = 56

local function record(id) return prefix .. 's' .. id end

-- fields returns the numbers in the head of a value: revision, seen, expires, finish, due, active,
-- user, client. finish is the end of the lifetime; due, active, user and client are scores in the
-- indexes.
local function fields(head) return struct.unpack('>I6I6I6I6I6I6I6I6', head, 3) end

local function head(id) return call('GETRANGE', record(id), 0, HEAD - 1) end

-- A member of the index by client is preceded by the time when its session began, the later of its
-- creation and its last login: members with the same score are ordered by it.
local BEGAN = 6
local BEGINNING = 256 -- number of bytes of a stored session that beginning reads

-- began returns when the session began, in 6 bytes. value is a value, or the head or the beginning
-- of the stored session id.
local function began(value, id)
  local at, length, unit = HEAD + 1, 0, 1
  repeat -- the length of the user ID
    local b = string.byte(value, at) or string.byte(call('GETRANGE', record(id), at - 1, at - 1))
    at, length, unit = at + 1, length + b % 128 * unit, unit * 128
  until b < 128
  at = at + length + 16 + 26
  local times = string.sub(value, at, at + 49)
  if #times < 50 and id and (#value == HEAD or #value == BEGINNING) then times = call('GETRANGE', record(id), at - 1, at + 48) end
  local created, next, flags = string.sub(times, 1, 6), 7, string.byte(value, 2)
  if flags % 2 == 1 then next = next + 32 end -- a previous token hash
  if flags % 4 >= 2 then next = next + 6 end -- rotated-at
  if flags % 8 >= 4 then -- logged-in
    local loggedIn = string.sub(times, next, next + 5)
    -- As numbers: the order of text is that of the server's locale.
    if struct.unpack('>I6', loggedIn) > struct.unpack('>I6', created) then return loggedIn end
  end
  return created
end

-- beginning returns enough of a session that began rarely has to read more.
local function beginning(id) return call('GETRANGE', record(id), 0, BEGINNING - 1) end
