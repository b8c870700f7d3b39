-- KEYS: meta; the names of all jobs; what is known of each. ARGV: head; now, and the names.
local known = {}
for nth = 3, #KEYS do
  redis.call('SADD', KEYS[2], ARGV[nth + 2])
  redis.call('HSETNX', KEYS[nth], 'since', ARGV[4])
  known[nth - 2] = redis.call('HMGET', KEYS[nth], 'since', 'handled')
end
return known
