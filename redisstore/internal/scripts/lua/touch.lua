-- ARGV: prefix, member, seen. Returns 1, or -1 if the session doesn't exist.
local id, seen = ARGV[2], tonumber(ARGV[3])
local key = record(id)
local old = head(id)
if old == '' then return -1 end
local _, oseen, expires, finish, due, oactive, user, client = fields(old)
if oseen >= seen then return 1 end
expires = forward(seen - oseen, expires, finish)
local ttl, active = lifetime(seen, expires), activity(seen, oactive)
local moved, byActivity, byExpiry = active ~= oactive, nil, nil
local odue = due
due = expiry(expires, odue) -- changes only if the expiry was after the end of the lifetime
if moved then byActivity = insert(prefix .. 'a', text(active), id, ttl) end
if due ~= odue then byExpiry = insert(prefix .. 'e', text(due), id, ttl) end
extendPages(key, ttl, due, active, user, client)
call('SETRANGE', key, 8, struct.pack('>I6I6I6I6I6', seen, expires, finish, due, active))
if ttl then call('PEXPIRE', key, ttl) end
if moved then delete(prefix .. 'a', oactive, id, byActivity) end
if due ~= odue and odue > 0 then delete(prefix .. 'e', odue, id, byExpiry) end
return 1
