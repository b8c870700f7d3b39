-- Every script but the handshake begins with this. Nothing is done in the name of another life.
local meta, incarnation = KEYS[1], ARGV[1]
if redis.call('HGET', meta, 'incarnation') ~= incarnation then
  return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
-- For how long this has been under way: a server that was stopped goes on with what it was sent.
local late = math.max(0, now - ARGV[3])
