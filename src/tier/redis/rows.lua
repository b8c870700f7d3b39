-- The rows of runs, and where they lie. What is known of a job: fields `since`, `handled`, `cut`. Its
-- rows: one field for each run. Their order: by when they were due. Those that have not ended: by the
-- ends of their leases.
local RUN_ID, SCHEDULED, IS_DUE, REASON, NODE, PERMIT = 1, 2, 3, 4, 5, 6
local STARTED, ENDED, TOOK, ATTEMPTS, OUTCOME, ERROR, UNTIL = 7, 8, 9, 10, 11, 12, 13

local function row_at(rows, instant)
  local packed = redis.call('HGET', rows, instant)
  return packed and cmsgpack.unpack(packed)
end

local function save(rows, instant, row)
  redis.call('HSET', rows, instant, cmsgpack.pack(row))
end

local function lease_of(open, instant)
  return tonumber(redis.call('ZSCORE', open, instant) or 0)
end

local function lease(open, instant, ends)
  redis.call('ZADD', open, string.format('%.0f', ends), instant)
end

-- Removes the row of a run, and notes up to where rows have been removed.
local function drop(job, rows, order, open, instant, row)
  redis.call('HDEL', rows, instant)
  redis.call('ZREM', order, instant)
  redis.call('ZREM', open, instant)
  local cut = redis.call('HGET', job, 'cut')
  if row and row[IS_DUE] and (not cut or tonumber(cut) < tonumber(row[SCHEDULED])) then
    redis.call('HSET', job, 'cut', row[SCHEDULED])
  end
end

local function told(nth, instant, row)
  return {
    nth, instant, row[SCHEDULED], row[RUN_ID], row[REASON], row[NODE], row[STARTED], row[ENDED],
    row[TOOK], row[ATTEMPTS], row[OUTCOME], row[ERROR],
  }
end
