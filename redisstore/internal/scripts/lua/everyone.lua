-- ARGV: prefix, the node that asks. Returns all other nodes.
local out = {}
for _, node in ipairs(call('ZRANGEBYSCORE', all, clock(), '+inf')) do
  if node ~= ARGV[2] and alive(node) then out[#out + 1] = node end
end
return out
