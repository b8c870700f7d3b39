-- KEYS: meta, log. ARGV: head; the sequence after which to begin, or nothing; how many at most.
--
-- A server that has been a copy meanwhile has kept its connections: it is noticed here.
local known, entries = redis.call('HMGET', meta, 'run', 'sequence'), {}
if known[1] ~= identity() then
  return false
end
local sequence = known[2]
local since = tonumber(ARGV[4])
if since and since < tonumber(sequence) then
  local first = string.format('%.0f-0', since + 1)
  entries = redis.call('XRANGE', KEYS[2], first, '+', 'COUNT', ARGV[5])
end
return { now, sequence, entries }
