-- unread appends the entries of a node's inbox after the entry last to out, as {id, entry, …}, and
-- removes older ones from the inbox.
local function unread(out, node, last)
  local inbox = prefix .. 'i' .. node
  call('XTRIM', inbox, 'MINID', last)
  local some = call('XRANGE', inbox, '(' .. last, '+', 'COUNT', 500)
  for _, each in ipairs(some) do
    out[#out + 1] = each[1]
    out[#out + 1] = each[2][2]
  end
  if #some < 500 then call('DEL', prefix .. 'b' .. node) end -- nothing is unread
  return out
end
