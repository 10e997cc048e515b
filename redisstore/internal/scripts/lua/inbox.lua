-- unread appends to out what the inbox of a node has after an entry, {id, entry, …}, and drops what comes before that.
local function unread(out, node, last)
  local inbox = prefix .. 'i' .. node
  call('XTRIM', inbox, 'MINID', last)
  local some = call('XRANGE', inbox, '(' .. last, '+', 'COUNT', 500)
  for _, each in ipairs(some) do
    out[#out + 1] = each[1]
    out[#out + 1] = each[2][2]
  end
  if #some < 500 then call('DEL', prefix .. 'b' .. node) end -- it has read everything
  return out
end
