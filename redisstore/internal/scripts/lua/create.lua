-- ARGV: prefix, member, value with its revision and scores, the node that creates the session, seen,
-- expires ('0': never), user and client ('0': none) as text, when the session began as 6 bytes, time
-- to live in ms ('': unlimited). Returns -11, as for an update that affects who may use the session;
-- -2 if the session exists, -3 if another node has reserved it or the logins of the user are locked.
local _, id, value, node, active, due, user, client, began, ttl = unpack(ARGV)
local key = record(id)
ttl = tonumber(ttl)
local ask = { key, prefix .. 'h' .. id, prefix .. 'x' .. id }
if user ~= '0' then ask[4] = prefix .. 'l' .. string.sub(value, 39, 44) end
local got = call('MGET', unpack(ask))
if got[1] then return -2 end
if got[3] and got[3] ~= node or got[4] then return -3 end
-- Holders are notified first: if the script fails half-way, nothing is stored without a
-- notification.
if got[2] then notifyHolders(ask[2], got[2], node, 'a' .. id) end

insert(prefix .. 'a', active, id, ttl)
if due ~= '0' then insert(prefix .. 'e', due, id, ttl) end
if user ~= '0' then insert(prefix .. 'u', user, id, ttl) end
if client ~= '0' then insert(prefix .. 'c', client, began .. id, ttl) end
if ttl then
  call('SET', key, value, 'PX', ARGV[10])
else
  call('SET', key, value)
end
return -11
