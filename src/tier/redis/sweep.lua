-- KEYS: meta; values. ARGV: head; bytes before the key in the name of a value; how many to remove
-- at most.
local skip, left = ARGV[4] + 1, tonumber(ARGV[5])
local removed = 0
for nth = 2, #KEYS do
  local place = KEYS[nth]
  local head = left > removed and redis.call('GETRANGE', place, 0, 43) or ''
  if #head == 44 then
    local tags = struct.unpack('>I4', head, 41)
    local stored = tags == 0 and head or redis.call('GETRANGE', place, 0, 43 + tags)
    if not judge(string.sub(place, skip), stored) then
      removed = removed + redis.call('UNLINK', place)
    end
  end
end
return removed
