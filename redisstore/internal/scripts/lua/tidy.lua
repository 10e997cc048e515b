-- ARGV: prefix, index, the number of its field in a head, page. Removes obsolete entries from one
-- page, and returns the name of the next page, '' at the end. Field 8 is the client.
local dir, field, b = prefix .. ARGV[2], tonumber(ARGV[3]), ARGV[4]
local key = dir .. b
local all = call('ZRANGE', key, '0', '-1', 'WITHSCORES')
for i = 1, #all, 2 do
  local id = field == 8 and string.sub(all[i], BEGAN + 1) or all[i]
  local old = head(id)
  if old == '' or ({fields(old)})[field] ~= tonumber(all[i + 1]) then call('ZREM', key, all[i]) end
end
local next = call('ZRANGEBYSCORE', dir, '(' .. b, '+inf', 'LIMIT', '0', '1')[1] or ''
if call('EXISTS', dir) == 1 then merge(dir, b) end
if next == '' and call('ZCARD', dir) == 1 and call('EXISTS', dir .. '0') == 0 then call('DEL', dir) end
return next
