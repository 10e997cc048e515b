-- Nodes are processes that hold sessions and clients, to be told of what others do to them. A name has 8 characters. Who holds a session is in
-- prefix .. 'h' .. member, one name after the other; who holds a client in 'k' .. place. What a node has been told and hasn't read yet is
-- in its inbox, prefix .. 'i' .. name, a stream that lives as long as its lease: no inbox, no node.
local NAME = 8
local INBOX = 4096

-- names iterates over the names in a value.
local function names(all)
  local at = 1 - NAME
  return function()
    at = at + NAME
    if at < #all then return string.sub(all, at, at + NAME - 1) end
  end
end

local function alive(node) return call('EXISTS', prefix .. 'i' .. node) == 1 end

-- publish says something to a node that listens: it is done without if it can't be.
local function publish(node, what) redis.pcall('SPUBLISH', prefix .. 'p' .. node, what) end

-- tell puts an entry into the inbox of a node. One that is full says so instead: 'x'. Returns false if the node is dead.
local function tell(node, entry)
  local inbox = prefix .. 'i' .. node
  if call('XLEN', inbox) >= INBOX then
    call('XTRIM', inbox, 'MAXLEN', 0)
    entry = 'x'
  end
  if not call('XADD', inbox, 'NOMKSTREAM', '*', 'e', entry) then return false end
  publish(node, '')
  return true
end

-- let takes a node from among the holders of something.
local function let(key, holders, node)
  local rest = ''
  for name in names(holders) do
    if name ~= node then rest = rest .. name end
  end
  if rest == holders then return holders end
  if rest == '' then
    call('DEL', key)
  else
    call('SET', key, rest, 'KEEPTTL')
  end
  return rest
end

-- inform tells all who hold something but one, and forgets those that are dead.
local function inform(key, holders, by, entry)
  for node in names(holders) do
    if node ~= by and not tell(node, entry) then holders = let(key, holders, node) end
  end
end
