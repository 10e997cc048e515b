-- ARGV: prefix, entry, node, …. Delivers the entry to each node. prefix .. 'b' .. node is the
-- number of bytes that the node hasn't read yet. A node that doesn't read receives no more, so that
-- messages can't fill the memory of Redis.
local BYTES, KEPT = 16777216, 15000
for i = 3, #ARGV do
  local node = ARGV[i]
  if alive(node) then
    local unread, size = prefix .. 'b' .. node, #ARGV[2]
    local waiting = tonumber(call('GET', unread) or 0)
    if waiting == 0 or waiting + size <= BYTES then
      call('SET', unread, waiting + size, 'PX', KEPT)
      deliver(node, ARGV[2])
    end
  end
end
return 1
