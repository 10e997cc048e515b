-- Nodes are processes that hold sessions and clients, to be notified of what others do to them. A
-- name has 8 characters. The holders of a session are in prefix .. 'h' .. member, their names
-- concatenated; those of a client in prefix .. 'k' .. score. The inbox of a node, prefix .. 'i' ..
-- name, is a stream of the entries that it hasn't read. It exists as long as the lease of the node:
-- a node without an inbox is not alive.
local NAME = 8
local INBOX = 4096

-- names iterates over concatenated names.
local function names(all)
  local at = 1 - NAME
  return function()
    at = at + NAME
    if at < #all then return string.sub(all, at, at + NAME - 1) end
  end
end

local function alive(node) return call('EXISTS', prefix .. 'i' .. node) == 1 end

-- publish sends a message to a node that is subscribed. Errors are ignored.
local function publish(node, what) redis.pcall('SPUBLISH', prefix .. 'p' .. node, what) end

-- deliver adds an entry to the inbox of a node. If the inbox is full, its content is replaced by
-- the entry 'x'. Returns false if the node is not alive.
local function deliver(node, entry)
  local inbox = prefix .. 'i' .. node
  if call('XLEN', inbox) >= INBOX then
    call('XTRIM', inbox, 'MAXLEN', 0)
    entry = 'x'
  end
  if not call('XADD', inbox, 'NOMKSTREAM', '*', 'e', entry) then return false end
  publish(node, '')
  return true
end

-- removeHolder removes a node from the holders of an item and returns the others.
local function removeHolder(key, holders, node)
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

-- notifyHolders delivers an entry to all holders but one, and removes those that are not alive.
local function notifyHolders(key, holders, by, entry)
  for node in names(holders) do
    if node ~= by and not deliver(node, entry) then holders = removeHolder(key, holders, node) end
  end
end
