-- KEYS: meta; of each job: what is known, rows, order, open. ARGV: head; how many rows to look at.
--
-- Removes rows that need not be kept any longer. One that has not ended goes as well, if nobody has
-- done it in all this time.
local removed = 0
for nth = 2, #KEYS, 4 do
  local job, rows, order, open = KEYS[nth], KEYS[nth + 1], KEYS[nth + 2], KEYS[nth + 3]
  for _, instant in ipairs(redis.call('ZRANGE', order, 0, ARGV[4] - 1)) do
    local row = row_at(rows, instant)
    if not row or row[UNTIL] <= now and lease_of(open, instant) <= now then
      drop(job, rows, order, open, instant, row)
      removed = removed + 1
    end
  end
end
return removed
