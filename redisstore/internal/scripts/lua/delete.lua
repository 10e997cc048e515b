-- merge moves the members of a page that has become small to the previous page.
local function merge(dir, b)
  local key = dir .. b
  local n = call('ZCARD', key)
  if b == '0' or n >= PAGE / 3 then return end
  if n > 0 then
    local left = dir .. call('ZREVRANGEBYSCORE', dir, '(' .. b, '-inf', 'LIMIT', '0', '1')[1]
    local room = call('ZCARD', left)
    if room + n > PAGE * 3 / 4 then return end
    local all = call('ZRANGE', key, '0', '-1', 'WITHSCORES')
    for i = 1, #all, 2 do
      all[i], all[i + 1] = all[i + 1], all[i]
    end
    call('ZADD', left, unpack(all))
    extendLike(left, key, room == 0)
    call('DEL', key)
  end
  call('ZREM', dir, b)
end

-- delete removes the member with a score, unless it has been inserted into the same page since.
local function delete(dir, at, id, added)
  local b = page(dir, at)
  if not b or b == added then return end
  call('ZREM', dir .. b, id)
  merge(dir, b)
end
