-- KEYS: meta, log; value and permit of each key.
-- ARGV: head; channel, engine, tier, turn; kind, subject and detail of each selector. The detail of
-- a key is its lag: how long it lasts, and the demand on versions.
local TAGS_MAX, PATTERNS_MAX = 10000, 128

-- Of two lags both count: the later end, and the higher demand.
local function note_lag(key, lag)
  local field = 'l:' .. key
  local ends, demand = now + struct.unpack('>i8', lag), string.sub(lag, 9)
  local before = redis.call('HGET', meta, field)
  if before and struct.unpack('>i8', before) > now then
    ends = math.max(ends, (struct.unpack('>i8', before)))
    local kind, high, low = struct.unpack('>c1I4I4', demand)
    local kind_before, high_before, low_before = struct.unpack('>c1I4I4', before, 9)
    local is_higher = high_before > high or high_before == high and low_before > low
    if kind_before == 'n' or kind == 'v' and is_higher then
      demand = string.sub(before, 9)
    end
  end
  if ends > now then
    redis.call('HSET', meta, field, struct.pack('>i8', ends) .. demand)
  end
end

local function raise_tag(resource, row, tag, sequence, ends)
  local field = tag_field(resource, tag)
  local before = redis.call('HGET', meta, field)
  -- What the epoch of the resource has overtaken is no longer counted.
  if not before or struct.unpack('>I8', before) <= row.all then
    row.tags = row.tags + 1
  end
  if row.tags > TAGS_MAX then
    return false
  end
  redis.call('HSET', meta, field, struct.pack('>I8i8', sequence, ends))
  row.tag = sequence
  return true
end

local function raise_pattern(resource, row, pattern, sequence, ends)
  local kept = {}
  for _, before in ipairs(patterns_of(resource)) do
    if before[3] >= now and before[1] ~= pattern then
      kept[#kept + 1] = before
    end
  end
  if #kept >= PATTERNS_MAX then
    return false
  end
  kept[#kept + 1] = { pattern, sequence, ends }
  redis.call('HSET', meta, 'p:' .. resource, cmsgpack.pack(kept))
  pattern_lists[resource] = kept
  row.pattern = sequence
  return true
end

-- Makes void what was loaded before. What is too much to remember becomes one for all.
local function raise(kind, resource, detail, sequence)
  local row = row_of(resource)
  -- Where nothing was ever kept, nothing can be void.
  if row.span == 0 then
    return
  end
  local ends, is_raised = now + row.span, false
  if kind == 'tag' then
    is_raised = raise_tag(resource, row, detail, sequence, ends)
  elseif kind == 'pattern' then
    is_raised = raise_pattern(resource, row, detail, sequence, ends)
  end
  if not is_raised then
    redis.call('HDEL', meta, 'p:' .. resource)
    pattern_lists[resource] = {}
    row.all, row.ends, row.tag, row.pattern, row.tags = sequence, ends, 0, 0, 0
  end
  save(resource, row)
end

local sequence = take((#ARGV - 7) / 3)
if not sequence then
  return false
end
local place = 3
for nth = 8, #ARGV, 3 do
  local kind, subject, detail, lag = ARGV[nth], ARGV[nth + 1], ARGV[nth + 2], ''
  sequence = sequence + 1
  if kind == 'key' then
    redis.call('UNLINK', KEYS[place], KEYS[place + 1])
    place, detail, lag = place + 2, '', detail
    if lag ~= '' then
      note_lag(subject, lag)
    end
  else
    raise(kind, subject, detail, sequence)
  end
  note(sequence, kind, subject, detail, lag)
end
tell()
return now
