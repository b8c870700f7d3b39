-- KEYS: meta; the claims. ARGV: head; name, how long to keep it.
local ends = redis.call('HGET', KEYS[2], ARGV[4])
if ends and struct.unpack('>i8', ends) > now then
  return 0
end
redis.call('HSET', KEYS[2], ARGV[4], struct.pack('>i8', now - late + ARGV[5]))
return 1
