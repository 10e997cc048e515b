-- ARGV: prefix, the node that announces, score of a client, entry. Delivers the entry to the other
-- holders of the client.
local key = prefix .. 'k' .. ARGV[3]
local holders = call('GET', key)
if holders then notifyHolders(key, holders, ARGV[2], ARGV[4]) end
return 1
