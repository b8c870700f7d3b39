-- KEYS: meta, log. ARGV: what to call a new life; how far ahead the clock is; the layout of keys.
--
-- What the server holds is of another life if it was brought here by a restart, a copy or a
-- promotion: then what it has acknowledged meanwhile, here or elsewhere, may be missing.
local run = identity()
if not run then
  return 'run'
end
local meta = KEYS[1]
local known = redis.call('HMGET', meta, 'incarnation', 'run', 'layout')
if not known[1] or known[2] ~= run then
  redis.call('UNLINK', meta, KEYS[2])
  known = { ARGV[1], run, ARGV[3] }
  redis.call(
    'HSET', meta, 'incarnation', ARGV[1], 'run', run, 'layout', ARGV[3], 'sequence', 0
  )
end
local memory = redis.call('INFO', 'memory')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]
local limit = tonumber(string.match(memory, 'maxmemory:(%d+)') or 0)
local policy = string.match(memory, 'maxmemory_policy:([%w-]+)') or ''
return { known[1], known[3], now, limit > 0 and policy or 'noeviction' }
