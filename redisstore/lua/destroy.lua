-- ARGV: prefix, member, the node that does it, reason. Returns 1; 0: there was none.
local id = ARGV[2]
local old = head(id)
if old == '' then return 0 end
remove(id, old, ARGV[3], ARGV[4])
return 1
