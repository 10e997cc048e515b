-- ARGV: prefix, member. Returns 1; 0: there was none.
local id = ARGV[2]
local old = head(id)
if old == '' then return 0 end
remove(id, old)
return 1
