-- ARGV: prefix, the node that asks, 'h' .. member or 'k' .. score, …. Returns the other nodes that
-- hold one of these.
local known, out = {[ARGV[2]] = true}, {}
for i = 3, #ARGV do
  for node in names(call('GET', prefix .. ARGV[i]) or '') do
    if not known[node] then
      known[node] = true
      if alive(node) then out[#out + 1] = node end
    end
  end
end
return out
