-- An index: members ordered by a score, an integer from 0, in sorted sets ("pages") that stay small
-- enough for the compact encoding of Redis, about 30 bytes for each member instead of 130. Another
-- sorted set, the directory, has the pages by their lowest score, which is also their name. Page
-- '0' always stays in the directory, so that every score belongs to a page.
--
-- A script may fail half-way (while a slot of a cluster is being moved). It inserts entries before
-- it deletes others, so that an index may have entries too many, which readers ignore, but never
-- too few.
local PAGE = 120
local DAY = 86400000

-- endOfDay returns when a page may expire that has a session with a time to live of ttl ms, or one
-- that expires at the given time: at the end of that day, so that the expiry of a page rarely
-- changes.
local now
local function endOfDay(ttl, at)
  if not at and not now then
    local time = call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return (math.floor((at or now + ttl) / DAY) + 1) * DAY
end

-- page returns the name of the page for a score, nil if the index is empty.
local function page(dir, at) return call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', 0, 1)[1] end

-- extendLike extends the time to live of a page to that of another one. fresh: the page has none
-- yet.
local function extendLike(key, other, fresh)
  local ttl = call('PTTL', other)
  if ttl == -1 then
    call('PERSIST', key)
  elseif ttl >= 0 and fresh then
    call('PEXPIRE', key, ttl)
  elseif ttl >= 0 then
    call('PEXPIRE', key, ttl, 'GT')
  end
end

-- split makes room in a full page and returns the name of the page for the score.
local function split(dir, b, at)
  local key = dir .. b
  local first, last = call('ZRANGE', key, 0, 0, 'WITHSCORES')[2], call('ZRANGE', key, -1, -1, 'WITHSCORES')[2]
  if at > tonumber(last) then -- so that an index that grows at its end has full pages
    local name = string.format('%.0f', at)
    call('ZADD', dir, at, name)
    return name
  end
  if first == last then return b end -- members with the same score stay together
  local middle = call('ZCARD', key) / 2
  local bound = call('ZRANGE', key, math.floor(middle), math.floor(middle), 'WITHSCORES')[2]
  if bound == first then bound = call('ZRANGEBYSCORE', key, '(' .. bound, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2] end
  call('ZRANGESTORE', dir .. bound, key, bound, '+inf', 'BYSCORE')
  extendLike(dir .. bound, key, true)
  call('ZADD', dir, bound, bound)
  call('ZREMRANGEBYSCORE', key, bound, '+inf')
  if at >= tonumber(bound) then return bound end
  return b
end

-- extendPage extends the time to live of a page, and of the directory, to at least ttl ms, nil for
-- unlimited. fresh: the page has none yet.
local function extendPage(dir, b, ttl, fresh)
  local key = dir .. b
  if not ttl then
    call('PERSIST', key)
    call('PERSIST', dir)
  elseif fresh then
    call('PEXPIREAT', key, endOfDay(ttl))
    call('PEXPIREAT', dir, endOfDay(ttl), 'GT')
  elseif call('PEXPIREAT', key, endOfDay(ttl), 'GT') == 1 then
    call('PEXPIREAT', dir, endOfDay(ttl), 'GT')
  end
end

-- insert adds a member for at least ttl ms, nil for unlimited, and returns the name of its page.
local function insert(dir, at, id, ttl)
  local b = page(dir, at)
  if not b then
    b = '0'
    call('ZADD', dir, 0, b)
    if ttl then call('PEXPIREAT', dir, endOfDay(ttl)) end
  end
  local n = call('ZCARD', dir .. b)
  if n >= PAGE then
    b = split(dir, b, at)
    n = call('ZCARD', dir .. b)
  end
  call('ZADD', dir .. b, at, id)
  extendPage(dir, b, ttl, n == 0)
  return b
end

-- merge moves the members of a page that has become small to the previous page.
local function merge(dir, b)
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
