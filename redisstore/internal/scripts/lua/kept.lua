-- ARGV: prefix, name, number. Returns {the last number, number, the one before, '1' for binary, data,
-- …} of the messages with a greater number. Without a last number, it is now.
local now, last = micros(), call('GET', lastNumber)
if not last then
  last = text(now)
  call('SET', lastNumber, last, 'PX', LAST)
elseif call('PTTL', lastNumber) < LAST / 2 then
  call('PEXPIRE', lastNumber, LAST)
end
local out = {last}
for _, entry in ipairs(call('XRANGE', log, '(' .. ARGV[3] .. '-0', '+')) do
  local before, over, _, binary, data = parts(entry)
  if over > now then
    out[#out + 1] = number(entry[1])
    out[#out + 1] = before
    out[#out + 1] = binary
    out[#out + 1] = data
  end
end
return out
