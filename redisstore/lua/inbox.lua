-- unread appends to out what the inbox of a node has after an entry, {id, entry, …}, and drops what comes before that.
local function unread(out, node, last)
  local inbox = prefix .. 'i' .. node
  call('XTRIM', inbox, 'MINID', last)
  for _, each in ipairs(call('XRANGE', inbox, '(' .. last, '+', 'COUNT', 500)) do
    out[#out + 1] = each[1]
    out[#out + 1] = each[2][2]
  end
  return out
end
