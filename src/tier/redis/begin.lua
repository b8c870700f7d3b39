-- KEYS: meta; value and permit of each key.
-- ARGV: head; how long a permit lasts; bytes before the key in the name of a value; for each key
-- what is wanted (`v`alue, `f`resh, `p`ermit, `c`opy) and the permit.
local permit_for, skip = tonumber(ARGV[4]) - late, ARGV[5] + 1
-- A permit: in which life, what number, given at which sequence, until when; whether it is good for
-- any version, for none, or for those from one on.
local PERMIT = '>c8c8I8i8c9'
local answers = { now }

-- The demand on the version of what a load that begins now may bring.
local function demand(key)
  local lag = redis.call('HGET', meta, 'l:' .. key)
  if lag then
    if struct.unpack('>i8', lag) > now then
      return string.sub(lag, 9)
    end
    redis.call('HDEL', meta, 'l:' .. key)
  end
  return 'a' .. string.rep('\0', 8)
end

local function is_held(key, place, permit)
  local held = redis.call('GET', place)
  if not held or #held < 41 then
    return false
  end
  local life, other, sequence, ends = struct.unpack(PERMIT, held)
  local latest = now + row_of((split(key))).span + 5000
  return life == incarnation
    and other ~= permit
    and ends > now
    and ends <= latest
    and not is_void(key, sequence, '')
end

local function grant(key, place, permit)
  if is_held(key, place, permit) then
    return 1
  end
  if permit_for >= 1 then
    local sequence = tonumber(redis.call('HGET', meta, 'sequence'))
    local packed =
      struct.pack(PERMIT, incarnation, permit, sequence, now + permit_for, demand(key))
    redis.call('SET', place, packed, 'PX', string.format('%.0f', permit_for))
    note_span(split(key), permit_for)
  end
  return 0
end

for nth = 1, #ARGV - 5 do
  local place = KEYS[2 * nth]
  local key, ask = string.sub(place, skip), ARGV[5 + nth]
  local want, answer = string.sub(ask, 1, 1), nil
  local stored = want ~= 'p' and redis.call('GET', place)
  if stored then
    local is_there, is_fresh = judge(key, stored)
    if not is_there then
      redis.call('UNLINK', place)
    elseif is_fresh or want == 'v' then
      answer = stored
    end
  end
  if not answer then
    answer = want == 'c' and 2 or grant(key, KEYS[2 * nth + 1], string.sub(ask, 2))
  end
  answers[nth + 1] = answer
end
return answers
