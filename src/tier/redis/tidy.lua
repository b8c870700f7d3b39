-- KEYS: meta. ARGV: head; how many fields to look at.
--
-- Forgets what was noted of invalidations and is of no more use, some at a time: the place where to
-- go on is kept in the field `tidied`.
local function tidy_tag(field, packed)
  local _, last, length = string.find(field, '^t:(%d+):')
  local resource = string.sub(field, last + 1, last + length)
  local row, epoch, ends = row_of(resource), struct.unpack('>I8i8', packed)
  local is_counted = epoch > row.all
  if is_counted and ends >= now then
    return
  end
  redis.call('HDEL', meta, field)
  if is_counted then
    -- Fewer are counted than there are where an epoch of the resource has come and gone.
    row.tags = math.max(0, row.tags - 1)
    save(resource, row)
  end
end

local function tidy_patterns(field, packed)
  local kept = {}
  for _, pattern in ipairs(cmsgpack.unpack(packed)) do
    if pattern[3] >= now then
      kept[#kept + 1] = pattern
    end
  end
  if #kept == 0 then
    redis.call('HDEL', meta, field)
  else
    redis.call('HSET', meta, field, cmsgpack.pack(kept))
  end
end

local function tidy_resource(field, packed)
  local resource = string.sub(field, 3)
  local row = row_of(resource)
  if row.all > 0 and row.ends < now then
    row.all = 0
    save(resource, row)
  end
end

local function tidy_lag(field, packed)
  if struct.unpack('>i8', packed) <= now then
    redis.call('HDEL', meta, field)
  end
end

local TIDY = {
  ['t:'] = tidy_tag, ['p:'] = tidy_patterns, ['r:'] = tidy_resource, ['l:'] = tidy_lag,
}
local from = redis.call('HGET', meta, 'tidied') or '0'
local scanned = redis.call('HSCAN', meta, from, 'COUNT', ARGV[4])
for nth = 1, #scanned[2], 2 do
  local field, packed = scanned[2][nth], scanned[2][nth + 1]
  local tidy = TIDY[string.sub(field, 1, 2)]
  if tidy then
    tidy(field, packed)
  end
end
redis.call('HSET', meta, 'tidied', scanned[1])
return now
