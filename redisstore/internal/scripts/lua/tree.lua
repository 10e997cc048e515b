-- An index: members in the order of a whole number from 0, in sorted sets ("pages") that stay small enough for Redis' compact
-- encoding, about 30 bytes for each instead of 130. Another sorted set, the directory, has the pages by where they begin, which is
-- their name, too. Page '0' stays in the directory, so that every place belongs to a page.
--
-- A script may end half-way (a slot of a cluster that is being moved): whatever is added is added before anything is taken away, so
-- that an index may have too much, which readers look past, but never too little.
local PAGE = 120
local DAY = 86400000

-- till is when the pages of a session that must live for ttl ms, or until then, may end: at the end of a day, so that it is rarely moved.
local now
local function till(ttl, at)
  if not at and not now then
    local time = call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return (math.floor((at or now + ttl) / DAY) + 1) * DAY
end

-- page returns the name of the page for a place; nil: the index has none.
local function page(dir, at) return call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', 0, 1)[1] end

-- live has a page live as long as another one, at least.
local function live(key, other, fresh)
  local ttl = call('PTTL', other)
  if ttl == -1 then
    call('PERSIST', key)
  elseif ttl >= 0 and fresh then
    call('PEXPIRE', key, ttl)
  elseif ttl >= 0 then
    call('PEXPIRE', key, ttl, 'GT')
  end
end

-- split makes room in a full page and returns the name of the one for the place.
local function split(dir, b, at)
  local key = dir .. b
  local first, last = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2], call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  if at > tonumber(last) then -- so an index that grows at its end has full pages
    local name = string.format('%.0f', at)
    call('ZADD', dir, at, name)
    return name
  end
  if first == last then return b end -- all at one place: they stay together
  local middle = call('ZCARD', key) / 2
  local bound = call('ZRANGE', key, math.floor(middle), math.floor(middle), 'WITHSCORES')[2]
  if bound == first then bound = call('ZRANGEBYSCORE', key, '(' .. bound, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] end
  call('ZRANGESTORE', dir .. bound, key, bound, '+inf', 'BYSCORE')
  live(dir .. bound, key, true)
  call('ZADD', dir, bound, bound)
  call('ZREMRANGEBYSCORE', key, bound, '+inf')
  if at >= tonumber(bound) then return bound end
  return b
end

-- last has a page, and so the directory, live for ttl ms at least (nil: for ever). Where there is no time to live yet, it is set: fresh.
local function last(dir, b, ttl, fresh)
  local key = dir .. b
  if not ttl then
    call('PERSIST', key)
    call('PERSIST', dir)
  elseif fresh then
    call('PEXPIREAT', key, till(ttl))
    call('PEXPIREAT', dir, till(ttl), 'GT')
  elseif call('PEXPIREAT', key, till(ttl), 'GT') == 1 then
    call('PEXPIREAT', dir, till(ttl), 'GT')
  end
end

-- add puts a member at a place, for ttl ms at least (nil: for ever), and returns the name of its page.
local function add(dir, at, id, ttl)
  local b = page(dir, at)
  if not b then
    b = '0'
    call('ZADD', dir, 0, b)
    if ttl then call('PEXPIREAT', dir, till(ttl)) end
  end
  local n = call('ZCARD', dir .. b)
  if n >= PAGE then
    b = split(dir, b, at)
    n = call('ZCARD', dir .. b)
  end
  call('ZADD', dir .. b, at, id)
  last(dir, b, ttl, n == 0)
  return b
end

-- shrink takes a page that has become small into the one before it.
local function shrink(dir, b)
  local key = dir .. b
  local n = call('ZCARD', key)
  if b == '0' or n >= PAGE / 4 then return end
  if n > 0 then
    local left = dir .. call('ZREVRANGEBYSCORE', dir, '(' .. b, '-inf', 'LIMIT', 0, 1)[1]
    local room = call('ZCARD', left)
    if room + n > PAGE * 3 / 4 then return end
    local all = call('ZRANGE', key, 0, -1, 'WITHSCORES')
    for i = 1, #all, 2 do
      all[i], all[i + 1] = all[i + 1], all[i]
    end
    call('ZADD', left, unpack(all))
    live(left, key, room == 0)
    call('DEL', key)
  end
  call('ZREM', dir, b)
end

-- del takes the member away from a place, unless that is in the page where it has been added since.
local function del(dir, at, id, added)
  local b = page(dir, at)
  if not b or b == added then return end
  call('ZREM', dir .. b, id)
  shrink(dir, b)
end
