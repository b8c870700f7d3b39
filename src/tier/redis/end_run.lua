-- KEYS: meta; rows and open of the job. ARGV: head; instant, permit, outcome or nothing, attempts,
-- `+` and the error or nothing, when, how long it took, how long to keep.
local rows, open, instant = KEYS[2], KEYS[3], ARGV[4]
local outcome = ARGV[6] ~= '' and ARGV[6]
local row = row_at(rows, instant)
if not row or row[PERMIT] ~= ARGV[5] or row[OUTCOME] and row[OUTCOME] ~= outcome then
  return 0
end
row[ATTEMPTS], row[ERROR] = tonumber(ARGV[7]), ARGV[8] ~= '' and string.sub(ARGV[8], 2)
row[UNTIL] = now + ARGV[11]
if outcome then
  row[OUTCOME], row[ENDED], row[TOOK] = outcome, ARGV[9], ARGV[10]
  redis.call('ZREM', open, instant)
else
  lease(open, instant, now)
end
save(rows, instant, row)
return 1
