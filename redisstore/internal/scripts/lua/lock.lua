-- ARGV: prefix, score of a user as 6 bytes, owner, '1' to lock, '0' to unlock. A lock is prefix ..
-- 'l' .. score: its owners, each followed by the time at which its lock expires. Returns 1 if the
-- owner had the lock.
local LOCK = 10000
local OWNER, SIZE = 8, 14
local key, owner, now = prefix .. 'l' .. ARGV[2], ARGV[3], clock()
local owners = call('GET', key) or ''
local rest, last, had = '', 0, 0
for at = 1, #owners, SIZE do
  local ends = struct.unpack('>I6', owners, at + OWNER)
  if string.sub(owners, at, at + OWNER - 1) == owner then
    had = 1
  elseif ends > now then
    rest = rest .. string.sub(owners, at, at + SIZE - 1)
    last = math.max(last, ends)
  end
end
if ARGV[4] == '1' then
  last = now + LOCK
  rest = rest .. owner .. struct.pack('>I6', last)
end
if rest == '' then
  call('DEL', key)
else
  call('SET', key, rest, 'PXAT', last)
end
return had
