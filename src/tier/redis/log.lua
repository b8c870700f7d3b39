-- The log: a stream, with the sequence of a change as its id. One that is trimmed, lost or out of
-- step shows a gap to those who read it.
local log = KEYS[2]
local channel, by, tier, turn = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local LENGTH = 10000
-- A change: the engine, the tier and its turn; the kind, the lag and the subject, each after its
-- length; the detail is the rest.
local CHANGE = '>c8c8I8I1c0I1c0I4c0'

local function note(sequence, kind, subject, detail, lag)
  local change =
    struct.pack(CHANGE, by, tier, turn, #kind, kind, #lag, lag, #subject, subject) .. detail
  local id = string.format('%.0f-0', sequence)
  local function add()
    return redis.pcall('XADD', log, 'MAXLEN', '~', LENGTH, id, 'change', change)
  end
  local added = add()
  if type(added) == 'table' and added.err then
    redis.call('UNLINK', log)
    add()
  end
end

-- More than this is not remembered of what was invalidated: a new life begins.
local FIELDS_MAX = 200000

-- Takes the next sequences, and gives the last one before them.
local function take(count)
  if redis.call('HLEN', meta) > FIELDS_MAX then
    redis.call('UNLINK', meta, log)
    return nil
  end
  return redis.call('HINCRBY', meta, 'sequence', count) - count
end

local function tell()
  redis.call('PUBLISH', channel, tier)
end
