-- KEYS: meta; rows and order of the job. ARGV: head; how many.
local newest = {}
for _, instant in ipairs(redis.call('ZRANGE', KEYS[3], 0, ARGV[4] - 1, 'REV')) do
  local row = row_at(KEYS[2], instant)
  if row then
    newest[#newest + 1] = told(1, instant, row)
  end
end
return newest
