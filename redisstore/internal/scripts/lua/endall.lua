-- ARGV: prefix, n, the node that ends them, reason. Ends up to n sessions of a page of the index by
-- activity, those that were seen first. The other indexes keep their entries until there is no
-- session, and are dropped then, up to 1000 pages of each in a call. Returns {1 if there may be more,
-- member, value, …}.
local n, by, reason = tonumber(ARGV[2]), ARGV[3], ARGV[4]

-- finish ends the sessions with these members and returns {1, member, value, …}.
local function finish(ids)
  local keys, holding, gone, out = {}, {}, {}, {1}
  for i, id in ipairs(ids) do keys[i], holding[i] = record(id), prefix .. 'h' .. id end
  local values, holders = call('MGET', unpack(keys)), call('MGET', unpack(holding))
  for i, value in ipairs(values) do
    if value then
      local id, k, at = ids[i], #gone, #out
      gone[k + 1], gone[k + 2], gone[k + 3] = keys[i], prefix .. 'ms' .. id, prefix .. 'qs' .. id
      out[at + 1], out[at + 2] = id, value
    end
  end
  if #gone > 0 then call('DEL', unpack(gone)) end
  for i, names in ipairs(holders) do
    if names and values[i] then notifyEnd(ids[i], names, by, reason) end
  end
  return out
end

-- drop removes an index from its end, so that page '0' stays as long as another one, and returns 1 if a
-- part of it is left.
local function drop(dir)
  local pages = call('ZRANGE', dir, '-1000', '-1')
  if #pages == 0 then return 0 end
  call('ZREM', dir, unpack(pages))
  for i, b in ipairs(pages) do pages[i] = dir .. b end
  call('UNLINK', unpack(pages))
  return call('EXISTS', dir)
end

local dir = prefix .. 'a'
local pages = call('ZRANGE', dir, '0', '1')
local b = pages[1]
if not b then
  local more = 0
  for _, index in ipairs({ 'e', 'u', 'c' }) do more = math.max(more, drop(prefix .. index)) end
  return {more}
end
if pages[2] and call('EXISTS', dir .. b) == 0 then b = pages[2] end -- page '0' stays, though empty
local ids, out = call('ZRANGE', dir .. b, '0', n - 1), {1}
if #ids > 0 then
  out = finish(ids)
  call('ZREM', dir .. b, unpack(ids))
end
if call('EXISTS', dir .. b) == 0 and (b ~= '0' or not pages[2]) then call('ZREM', dir, b) end
return out
