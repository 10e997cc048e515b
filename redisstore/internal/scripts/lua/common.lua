-- What every script begins with. ARGV[1] is the prefix of the shard's keys: prefix .. 's' .. member is a session,
-- prefix .. 'e', 'a', 'u', 'c' are the indexes by expiry, activity, user and client, prefix .. 'h', 'k', 'o', 'i', 'b', 'n' what nodes have, 'l' and 'x' locks.
-- KEYS only say which slot that is.
local call = redis.call
local prefix = ARGV[1]
local HEAD = 56

local function record(id) return prefix .. 's' .. id end

-- fields returns the numbers of a value's head: revision, seen, expires, finish, due, active, user, client.
local function fields(head) return struct.unpack('>I6I6I6I6I6I6I6I6', head, 3) end

local function head(id) return call('GETRANGE', record(id), 0, HEAD - 1) end

-- In the index by client a member has in front of it when its session began, the later of its creation and its last login: those at one place are in that order.
local BEGAN = 6
local BEGINNING = 256 -- bytes of a stored session that are asked for at first

-- began returns that of a value, in 6 bytes, or of as much of it as is at hand, of a stored session.
local function began(value, id)
  local at, length, unit = HEAD + 1, 0, 1
  repeat -- the length of the user's ID
    local b = string.byte(value, at) or string.byte(call('GETRANGE', record(id), at - 1, at - 1))
    at, length, unit = at + 1, length + b % 128 * unit, unit * 128
  until b < 128
  at = at + length + 16 + 26
  local times = string.sub(value, at, at + 49)
  if #times < 50 and id and (#value == HEAD or #value == BEGINNING) then times = call('GETRANGE', record(id), at - 1, at + 48) end
  local created, next, flags = string.sub(times, 1, 6), 7, string.byte(value, 2)
  if flags % 2 == 1 then next = next + 32 end -- it has a previous token hash
  if flags % 4 >= 2 then next = next + 6 end -- rotated-at
  if flags % 8 >= 4 then -- logged-in
    local loggedIn = string.sub(times, next, next + 5)
    if loggedIn > created then return loggedIn end
  end
  return created
end

-- beginning returns so much of a session that began rarely has to ask for more.
local function beginning(id) return call('GETRANGE', record(id), 0, BEGINNING - 1) end
