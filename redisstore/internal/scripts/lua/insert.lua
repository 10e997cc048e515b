-- endOfDay returns when a page may expire that has a session with a time to live of ttl ms: at the
-- end of that day, so that the expiry of a page rarely changes.
local ofTTL, ends
local function endOfDay(ttl)
  if ofTTL ~= ttl then
    ofTTL = ttl
    ends = text((math.floor((call('TIME')[1] * 1000 + ttl) / DAY) + 1) * DAY)
  end
  return ends
end

-- split makes room in a full page and returns the name of the page for the score.
local function split(dir, b, at)
  local key = dir .. b
  local first, last = call('ZRANGE', key, '0', '0', 'WITHSCORES')[2], call('ZRANGE', key, '-1', '-1', 'WITHSCORES')[2]
  at = tonumber(at)
  if at > tonumber(last) then -- so that an index that grows at its end has full pages
    local name = text(at)
    call('ZADD', dir, name, name)
    return name
  end
  if first == last then return b end -- members with the same score stay together
  local middle = math.floor(call('ZCARD', key) / 2)
  local bound = call('ZRANGE', key, middle, middle, 'WITHSCORES')[2]
  if bound == first then bound = call('ZRANGEBYSCORE', key, '(' .. bound, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')[2] end
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
    call('ZADD', dir, '0', b)
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
