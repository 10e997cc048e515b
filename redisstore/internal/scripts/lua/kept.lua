-- ARGV: prefix, name, number. Returns {the first number, the last one, number, the one before, '1' for
-- binary, data, …} of the messages with a greater number. A log that doesn't exist begins now.
local now, first, last = micros(), bounds()
if not last then
  first, last = text(now), text(now)
  call('SET', numbers, first .. ' ' .. last, 'PX', LAST)
elseif call('PTTL', numbers) < LAST / 2 then
  call('PEXPIRE', numbers, LAST)
end
local out = {first, last}
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
