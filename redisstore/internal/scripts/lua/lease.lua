-- A node's lease. prefix .. 'n' has all nodes by when it ends on the server's clock, prefix .. 'o' .. name what the node holds here.
local LEASE = 15000
local KEEP = 172800000 -- what outlives a lease: 2 days
local inboxes, all = prefix .. 'i', prefix .. 'n'

local function clock()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- server names the process that Redis is: another one may have lost what this one has acknowledged.
local function server() return string.match(call('INFO', 'server'), 'run_id:(%x+)') or '' end

local function renew(node, now)
  call('ZADD', all, now + LEASE, node)
  call('PEXPIRE', all, KEEP)
  call('PEXPIRE', inboxes .. node, LEASE)
end
