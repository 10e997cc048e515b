-- ARGV: prefix, name, the session's member or '', the node that keeps the message, score of the topic,
-- entry for its holders, milliseconds, messages and bytes that are kept at most, '1' for binary, data.
-- Returns 1, or 0 if the session doesn't exist.
if ARGV[3] ~= '' and call('EXISTS', record(ARGV[3])) == 0 then return 0 end
local now, data = micros(), ARGV[11]
local keep, most, bytes = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local first, last = bounds()
first, last = first or '0', tonumber(last or 0)
local this, before = math.max(now, last + 1), 0
local newest = call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if newest then
  local _, _, sum, _, old = parts(newest)
  before = sum + #old
end
-- Holders are notified first: if the script fails half-way, nothing is kept without a notification.
local key = prefix .. 'k' .. ARGV[5]
local holders = call('GET', key)
if holders then notifyHolders(key, holders, ARGV[4], ARGV[6]) end

call('XADD', log, text(this) .. '-0', 'p', text(last), 'x', text(now + keep * 1000), 'c', text(before), 'b', ARGV[10], 'd', data)
call('SET', numbers, first .. ' ' .. text(this), 'PX', LAST)
if call('PTTL', log) < keep then call('PEXPIRE', log, keep) end
local length, sum = call('XLEN', log), before + #data
while length > 1 do
  local oldest = call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  local _, over, from = parts(oldest)
  if length <= most and sum - from <= bytes and over > now then break end
  call('XDEL', log, oldest[1])
  length = length - 1
end
return 1
