-- KEYS: meta; what the engines have noted of a resource.
-- ARGV: head; engine, how long to keep, and what it notes.
local place, by, keep_for = KEYS[2], ARGV[4], tonumber(ARGV[5])
local noted = {}
for nth, packed in ipairs(redis.call('HGETALL', place)) do
  if nth % 2 == 1 then
    noted.by = packed
  elseif struct.unpack('>i8', packed) <= now then
    redis.call('HDEL', place, noted.by)
  elseif noted.by ~= by then
    noted[#noted + 1] = string.sub(packed, 9)
  end
end
redis.call('HSET', place, by, struct.pack('>i8', now + keep_for) .. ARGV[6])
if redis.call('PTTL', place) < keep_for then
  redis.call('PEXPIRE', place, string.format('%.0f', math.max(keep_for, 1)))
end
return noted
