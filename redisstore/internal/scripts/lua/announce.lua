-- ARGV: prefix, the node that does it, place of a client, entry. Tells those who hold the client.
local key = prefix .. 'k' .. ARGV[3]
local holders = call('GET', key)
if holders then inform(key, holders, ARGV[2], ARGV[4]) end
return 1
