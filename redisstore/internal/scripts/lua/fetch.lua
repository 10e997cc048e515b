-- ARGV: prefix, node, ID of the last entry that it has read. Returns {'', id, entry, …}.
return unread({''}, ARGV[2], ARGV[3])
