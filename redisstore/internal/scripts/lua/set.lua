-- An update that may move the session in the indexes, or that holders are notified of.
local stored, oseen, oexpires, _, odue, oactive, ouser, oclient = fields(old)
local _, seen, expires, finish, _, _, user, client = fields(value)
if oseen > seen then
  expires = forward(oseen - seen, expires, finish)
  seen = oseen
end
-- Another token or another user affects who may use the session.
local access = user ~= ouser or string.sub(old, 51, 56) ~= string.sub(value, 51, 56)
local ask = { prefix .. 'h' .. id, prefix .. 'x' .. id }
if access and user > 0 then ask[3] = prefix .. 'l' .. string.sub(value, 39, 44) end
local others = call('MGET', unpack(ask))
local holders = others[1]
if others[2] and others[2] ~= ARGV[5] or others[3] then return -3 end

local ttl, due, active = lifetime(seen, expires), expiry(expires, odue), activity(seen, oactive)
-- Holders are notified first: if the script fails half-way, nothing is stored without a
-- notification.
if holders then
  if access or expires > 0 and (oexpires == 0 or expires < oexpires) then
    notifyHolders(prefix .. 'h' .. id, holders, ARGV[5], 'a' .. id)
  else
    for node in names(holders) do
      if node ~= ARGV[5] then publish(node, 's' .. id) end
    end
  end
end

local function move(index, from, to)
  if to > 0 and to ~= from then return insert(prefix .. index, text(to), id, ttl) end
end
local before, after -- the members in the index by client
if oclient > 0 then before = began(old, id) .. id end
if client > 0 then after = began(value) .. id end
local byActivity, byExpiry = move('a', oactive, active), move('e', odue, due)
local byUser, byClient = move('u', ouser, user), nil
local moved = client ~= oclient or before ~= after
if moved and after then byClient = insert(prefix .. 'c', text(client), after, ttl) end

extendPages(key, ttl, due, active, user, client)
store(stored + 1, seen, expires, finish, due, active, ttl)
if active ~= oactive then delete(prefix .. 'a', oactive, id, byActivity) end
if odue > 0 and due ~= odue then delete(prefix .. 'e', odue, id, byExpiry) end
if ouser > 0 and user ~= ouser then delete(prefix .. 'u', ouser, id, byUser) end
if moved and before then delete(prefix .. 'c', oclient, before, before == after and byClient) end
if access then return -11 - stored end
return stored + 1
