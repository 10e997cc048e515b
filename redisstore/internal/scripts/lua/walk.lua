-- ARGV: prefix, index, from, n. Returns {the score to continue from or '' at the end, then runs of
-- members: their number, a score, member, …}: the members from a score on, n and up to a page more.
-- The scores of a run are in the same minute; its own is one of them.
local dir, from, n = prefix .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local out, found = {''}, 0
local function run(score, members)
  local at = #out
  out[at + 1], out[at + 2] = #members, score
  for i, member in ipairs(members) do out[at + 2 + i] = member end
end
local function minute(score) return math.floor(tonumber(score) / 60000) end

local b = call('ZREVRANGEBYSCORE', dir, from, '-inf', 'LIMIT', '0', '1')[1]
while b do
  local key = dir .. b
  local members = call('ZRANGEBYSCORE', key, from, '+inf')
  if #members > 0 then
    local first = call('ZSCORE', key, members[1])
    if minute(first) == minute(call('ZSCORE', key, members[#members])) then
      run(first, members)
    else
      local each = call('ZRANGEBYSCORE', key, from, '+inf', 'WITHSCORES')
      for i = 1, #each, 2 do run(each[i + 1], { each[i] }) end
    end
  end
  found = found + #members
  b = call('ZRANGEBYSCORE', dir, '(' .. b, '+inf', 'LIMIT', '0', '1')[1]
  if b and found >= n then
    out[1] = b
    break
  end
end
return out
