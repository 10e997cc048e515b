-- ARGV: prefix, member, the node that destroys it, reason, expected revision as 6 bytes or ''.
-- Returns 1, 0 if the session doesn't exist, -2 if it has another revision.
local id = ARGV[2]
local old = beginning(id)
if old == '' then return 0 end
if ARGV[5] ~= '' and string.sub(old, 3, 8) ~= ARGV[5] then return -2 end
remove(id, old, ARGV[3], ARGV[4], delete)
return 1
