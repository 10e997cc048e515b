-- The lease of a node. prefix .. 'n' has all nodes by the end of their leases on the server's
-- clock, prefix .. 'o' .. name what the node holds in the shard.
local LEASE = 15000
local KEEP = 172800000 -- for data that outlives a lease: 2 days
local inboxes, all = prefix .. 'i', prefix .. 'n'

local function clock()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- server identifies the Redis process: another process may have lost writes that this one has
-- acknowledged.
local function server() return string.match(call('INFO', 'server'), 'run_id:(%x+)') or '' end

local function renew(node, now)
  call('ZADD', all, now + LEASE, node)
  call('PEXPIRE', all, KEEP)
  call('PEXPIRE', inboxes .. node, LEASE)
end
