-- KEYS: meta, log; value and permit of each key.
-- ARGV: head; channel, engine, tier, turn; bytes before the key in the name of a value.
local skip = ARGV[8] + 1
-- Where the end of freshness stands in a value.
local FRESH_AT = 24
local sequence = take((#KEYS - 2) / 2)
if not sequence then
  return false
end
for nth = 3, #KEYS, 2 do
  local place = KEYS[nth]
  local fresh = redis.call('GETRANGE', place, FRESH_AT, FRESH_AT + 7)
  if #fresh == 8 and struct.unpack('>i8', fresh) > now then
    redis.call('SETRANGE', place, FRESH_AT, struct.pack('>i8', now))
  end
  redis.call('UNLINK', KEYS[nth + 1])
  sequence = sequence + 1
  note(sequence, 'expired', string.sub(place, skip), '', '')
end
tell()
return now
