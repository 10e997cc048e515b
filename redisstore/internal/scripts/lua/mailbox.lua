-- The messages that are kept for a session, name 's' .. member, or a user, name 'u' .. ID, are in the
-- stream prefix .. 'm' .. name. The ID of an entry is the number of its message, a time in
-- microseconds. Its fields are: p the number before, x the time until which it is kept, c the bytes
-- of all messages of the stream before it, b '1' for a binary message, d the data. The stream lasts
-- as long as its messages; the first and the last number, prefix .. 'q' .. name, last longer.
local LAST = 1209600000 -- how long they last in milliseconds: 2 weeks, renewed after one
local log, numbers = prefix .. 'm' .. ARGV[2], prefix .. 'q' .. ARGV[2]

local function micros()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end

local function text(number) return string.format('%.0f', number) end

-- bounds returns the first and the last number as text; nil if the log doesn't exist.
local function bounds() return string.match(call('GET', numbers) or '', '^(%d+) (%d+)$') end

-- number returns the number in the ID of an entry.
local function number(id) return string.match(id, '^%d+') end

-- parts returns the fields of an entry: the number before, time, bytes before, binary, data.
local function parts(entry)
  local f = entry[2]
  return f[2], tonumber(f[4]), tonumber(f[6]), f[8], f[10]
end
