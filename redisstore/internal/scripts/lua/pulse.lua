-- ARGV: prefix, node, ID of the last entry that it has read, the server that it joined at. Renews
-- the lease and returns {a node whose lease has expired or '', id, entry, …}. Returns {} if the
-- node must join again, because it isn't known or Redis may have lost acknowledged writes.
local node, now = ARGV[2], clock()
if not call('ZSCORE', all, node) or call('EXISTS', inboxes .. node) == 0 or server() ~= ARGV[4] then return {} end
renew(node, now)
redis.pcall('SPUBLISH', prefix .. 'p' .. node, 'c')
local expired = call('ZRANGEBYSCORE', all, '-inf', now, 'LIMIT', 0, 1)[1] or ''
return unread({expired}, node, ARGV[3])
