-- KEYS: meta; the permit of each key. ARGV: head; the permits.
for nth = 2, #KEYS do
  local held = redis.call('GETRANGE', KEYS[nth], 0, 15)
  if held == incarnation .. ARGV[2 + nth] then
    redis.call('UNLINK', KEYS[nth])
  end
end
return now
