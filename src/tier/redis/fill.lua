-- KEYS: meta; value and permit of each key.
-- ARGV: head; bytes before the key in the name of a value; for each key its permit, age, spans,
-- version and tags, and the value.
local skip = ARGV[4] + 1
local answers = {}

-- Whether a permit that stands accepts this version.
local function accepts(demand, version)
  local kind = string.sub(demand, 1, 1)
  if kind ~= 'v' then
    return kind == 'a'
  end
  if string.sub(version, 1, 1) ~= 'v' then
    return false
  end
  local high, low = struct.unpack('>I4I4', version, 2)
  local high_min, low_min = struct.unpack('>I4I4', demand, 2)
  return high > high_min or high == high_min and low >= low_min
end

for nth = 1, (#ARGV - 4) / 2 do
  local about, value = ARGV[3 + 2 * nth], ARGV[4 + 2 * nth]
  local place, permit_place = KEYS[2 * nth], KEYS[2 * nth + 1]
  local permit, age, fresh, keep, version = struct.unpack('>c8i8i8i8c9', about)
  local key, tags = string.sub(place, skip), string.sub(about, 42)
  local held = redis.call('GET', permit_place)
  answers[nth] = 0
  if held and string.sub(held, 1, 16) == incarnation .. permit then
    redis.call('UNLINK', permit_place)
    local sequence, ends, demand = struct.unpack('>I8i8c9', held, 17)
    if ends > now and accepts(demand, version) and not is_void(key, sequence, tags) then
      store(place, key, sequence, { age = age, fresh = fresh, keep = keep }, tags, value)
      answers[nth] = 1
    end
  end
end
return answers
