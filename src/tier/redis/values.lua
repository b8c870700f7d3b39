-- A value: in which life it was stored and at which sequence it was loaded; when it was loaded, how
-- long it is fresh and kept; its tags; itself. Times are in milliseconds.
local VALUE = '>c8I8i8i8i8I4'

-- A clock that has been set back leaves what stems from the future.
local TOLERANCE = 5000

-- Stores a value that comes with the spans of its life, or removes it if it is not to be kept.
local function store(place, key, sequence, life, tags, value)
  local keep = life.keep - late
  if keep < 1 then
    redis.call('UNLINK', place)
    return
  end
  local head = struct.pack(
    VALUE, incarnation, sequence, now - late - life.age, now - late + life.fresh, now + keep, #tags
  )
  redis.call('SET', place, head .. tags .. value, 'PX', string.format('%.0f', keep))
  note_span(split(key), keep)
end

-- What is known of a value: whether it can be served at all, and whether it is fresh.
local function judge(key, stored)
  if #stored < 44 then
    return false
  end
  local life, sequence, loaded, fresh, keep, length = struct.unpack(VALUE, stored)
  local is_there = life == incarnation
    and keep > now
    and loaded <= now + TOLERANCE
    and not is_void(key, sequence, string.sub(stored, 45, 44 + length))
  return is_there, fresh > now
end
