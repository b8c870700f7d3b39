-- KEYS: meta; rows and open of the job of each run. ARGV: head; of each instant, permit, attempts,
-- lease, how long to keep.
local renewed = {}
for nth = 1, (#KEYS - 1) / 2 do
  local rows, open, at = KEYS[nth * 2], KEYS[nth * 2 + 1], nth * 5 - 1
  local instant = ARGV[at]
  local row = row_at(rows, instant)
  local is_ours = row and not row[OUTCOME] and row[PERMIT] == ARGV[at + 1]
    and lease_of(open, instant) > now
  if is_ours then
    lease(open, instant, now + ARGV[at + 3])
    row[ATTEMPTS] = math.max(row[ATTEMPTS], tonumber(ARGV[at + 2]))
    row[UNTIL] = math.max(row[UNTIL], now + ARGV[at + 4])
    save(rows, instant, row)
  end
  renewed[nth] = is_ours and 1 or 0
end
return renewed
