-- An index: members ordered by a score, an integer from 0, in sorted sets ("pages") that stay small
-- enough for the compact encoding of Redis, about 30 bytes for each member instead of 130. Another
-- sorted set, the directory, has the pages by their lowest score, which is also their name. Page
-- '0' always stays in the directory, so that every score belongs to a page.
--
-- A script may fail half-way (while a slot of a cluster is being moved). It inserts entries before
-- it deletes others, so that an index may have entries too many, which readers ignore, but never
-- too few.
--
-- Redis formats every argument that is a number, which takes longer than many a command. So
-- constants are text, and a score that is used several times is formatted once.
local PAGE = 60 -- of 60 members: Redis looks through a half of them to insert one
local DAY = 86400000

local function text(number) return string.format('%.0f', number) end

-- page returns the name of the page for a score, nil if the index is empty.
local function page(dir, at) return call('ZREVRANGEBYSCORE', dir, at, '-inf', 'LIMIT', '0', '1')[1] end

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
