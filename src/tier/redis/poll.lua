-- KEYS: meta, log. ARGV: head; the sequence after which to begin, or nothing; how many at most.
local sequence, entries = redis.call('HGET', meta, 'sequence'), {}
local since = tonumber(ARGV[4])
if since and since < tonumber(sequence) then
  local first = string.format('%.0f-0', since + 1)
  entries = redis.call('XRANGE', KEYS[2], first, '+', 'COUNT', ARGV[5])
end
return { now, sequence, entries }
