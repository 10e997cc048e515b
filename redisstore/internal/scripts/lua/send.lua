-- ARGV: prefix, entry, node, …. Tells each of these. prefix .. 'b' .. node is how many bytes of messages it hasn't read yet; one that doesn't read gets no more of them, so that
-- it can't fill the memory of Redis, which everybody's sessions need.
local BYTES, KEPT = 16777216, 15000
for i = 3, #ARGV do
  local node = ARGV[i]
  if alive(node) then
    local unread, size = prefix .. 'b' .. node, #ARGV[2]
    local waiting = tonumber(call('GET', unread) or 0)
    if waiting == 0 or waiting + size <= BYTES then
      call('SET', unread, waiting + size, 'PX', KEPT)
      tell(node, ARGV[2])
    end
  end
end
return 1
