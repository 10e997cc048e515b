-- ARGV: prefix, node, the last entry that it has read, the server that it joined at. Prolongs the lease, and returns {a node that has died or '', id, entry, …};
-- nothing: the node isn't known here, or Redis may have lost something, so that it has to join again.
local node, now = ARGV[2], clock()
if not call('ZSCORE', all, node) or call('EXISTS', inboxes .. node) == 0 or server() ~= ARGV[4] then return {} end
renew(node, now)
redis.pcall('SPUBLISH', prefix .. 'p' .. node, 'c')
local dead = call('ZRANGEBYSCORE', all, '-inf', now, 'LIMIT', 0, 1)[1] or ''
return unread({dead}, node, ARGV[3])
