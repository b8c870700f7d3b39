-- KEYS: meta; the names of all jobs; of the job: what is known, rows, order, open. ARGV: head; job,
-- instant, scheduled, whether it was due, id, reason, engine, permit, now, lease, how long to keep,
-- most at a time, most rows, since when rows stay, how far ahead of the server it may be due.
local job, rows, order, open = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local instant, scheduled, is_due, permit = ARGV[5], tonumber(ARGV[6]), ARGV[7] == '1', ARGV[11]
redis.call('SADD', KEYS[2], ARGV[4])
redis.call('HSETNX', job, 'since', ARGV[12])
local row = row_at(rows, instant)
local lasts = lease_of(open, instant) > now
if row and (row[OUTCOME] or row[PERMIT] ~= permit and lasts) then
  return 'theirs'
end
local cut = redis.call('HGET', job, 'cut')
if not row and is_due and cut and scheduled <= tonumber(cut) then
  return 'theirs'
end
if not row and is_due and scheduled > (now + ARGV[18]) * 1000 then
  return 'early'
end
if not (row and lasts) then
  local under_way = redis.call('ZCOUNT', open, string.format('(%.0f', now), '+inf')
  if under_way >= tonumber(ARGV[15]) then
    return 'busy'
  end
end

local before = 0
if not row then
  row = { ARGV[8], ARGV[6], is_due, ARGV[9], '', '', ARGV[12], false, false, 0, false, false, 0 }
  redis.call('ZADD', order, ARGV[6], instant)
elseif row[PERMIT] == permit then
  before = row[ATTEMPTS] - 1
else
  before = row[ATTEMPTS]
end
row[NODE], row[PERMIT], row[ATTEMPTS], row[UNTIL] = ARGV[10], permit, before + 1, now + ARGV[14]
save(rows, instant, row)
lease(open, instant, now + ARGV[13])
local handled = redis.call('HGET', job, 'handled')
if is_due and (not handled or tonumber(handled) < scheduled) then
  redis.call('HSET', job, 'handled', ARGV[6])
end
local beyond = redis.call('ZCARD', order) - ARGV[16]
if beyond > 0 then
  for _, oldest in ipairs(redis.call('ZRANGE', order, 0, beyond - 1)) do
    local ended = row_at(rows, oldest)
    if ended and tonumber(ended[SCHEDULED]) > tonumber(ARGV[17]) then
      break
    end
    if not ended or ended[OUTCOME] then
      drop(job, rows, order, open, oldest, ended)
    end
  end
end
return { row[RUN_ID], before }
