-- KEYS: meta; rows and open of each job. ARGV: head; how many of each.
local lapsed = {}
for nth = 1, (#KEYS - 1) / 2 do
  local rows, open = KEYS[nth * 2], KEYS[nth * 2 + 1]
  local until_now = string.format('%.0f', now)
  local ended = redis.call('ZRANGE', open, '-inf', until_now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
  for _, instant in ipairs(ended) do
    local row = row_at(rows, instant)
    if row then
      lapsed[#lapsed + 1] = told(nth, instant, row)
    end
  end
end
return lapsed
