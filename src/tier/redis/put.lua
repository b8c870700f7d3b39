-- KEYS: meta, log; value and permit of each key.
-- ARGV: head; channel, engine, tier, turn; bytes before the key in the name of a value; the
-- sequence up to which the caller has heard of everything, or nothing; for each key its permit,
-- age, spans, version and tags, and the value.
local skip, since = ARGV[8] + 1, tonumber(ARGV[9])
local sequence = take((#ARGV - 9) / 2)
if not sequence then
  return false
end

-- More changes than this are not looked through: whoever is so far behind only invalidates.
local CHANGES_MAX = 1000
local changed = { key = {}, resource = {}, tag = {}, pattern = {} }

-- Notes a change. Those of the caller count too: this may be carried out late, after a newer one.
local function hear(change)
  local _, _, _, kind, _, subject, rest = struct.unpack(CHANGE, change)
  local detail = string.sub(change, rest)
  if kind == 'key' or kind == 'expired' then
    changed.key[subject] = true
  elseif kind == 'resource' then
    changed.resource[subject] = true
  elseif kind == 'tag' then
    changed.tag[tag_field(subject, detail)] = true
  elseif kind == 'pattern' then
    local list = changed.pattern
    list[#list + 1] = { subject, detail }
  else
    return false
  end
  return true
end

-- Whether the log tells of everything since.
local function has_heard_all()
  if not since or since > sequence or sequence - since > CHANGES_MAX then
    return false
  end
  local first, last = string.format('%.0f-0', since + 1), string.format('%.0f-0', sequence)
  local entries = since < sequence and redis.call('XRANGE', log, first, last) or {}
  if #entries ~= sequence - since then
    return false
  end
  for _, entry in ipairs(entries) do
    if not hear(entry[2][2]) then
      return false
    end
  end
  return true
end

local function is_changed(key, tags)
  local resource, text = split(key)
  if changed.key[key] or changed.resource[resource] then
    return true
  end
  for _, pattern in ipairs(changed.pattern) do
    if pattern[1] == resource and matches(pattern[2], text) then
      return true
    end
  end
  return any_tag(tags, function(tag)
    return changed.tag[tag_field(resource, tag)]
  end)
end

local is_sure, answers = has_heard_all(), {}
for nth = 1, (#ARGV - 9) / 2 do
  local about, value = ARGV[8 + 2 * nth], ARGV[9 + 2 * nth]
  local place = KEYS[1 + 2 * nth]
  local _, age, fresh, keep = struct.unpack('>c8i8i8i8', about)
  local key, tags = string.sub(place, skip), string.sub(about, 42)
  sequence = sequence + 1
  redis.call('UNLINK', KEYS[2 + 2 * nth])
  if is_sure and not is_changed(key, tags) then
    store(place, key, sequence, { age = age, fresh = fresh, keep = keep }, tags, value)
    answers[nth] = 1
  else
    redis.call('UNLINK', place)
    answers[nth] = 0
  end
  note(sequence, 'key', key, '', '')
end
tell()
return answers
