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
