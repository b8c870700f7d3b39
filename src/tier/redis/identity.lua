-- Which run of which server this is, and since when it is a master, if it was a copy before: what it
-- holds then is that of another. A first copy that joins changes the name of the history alone.
local function identity()
  local server = redis.call('INFO', 'server')
  local replication = redis.call('INFO', 'replication')
  local run = string.match(server, 'run_id:(%x+)')
  local history = string.match(replication, 'master_replid:(%x+)') or ''
  local before = string.match(replication, 'master_replid2:(%x+)') or '0'
  if string.find(before, '^0*$') then
    history = ''
  end
  return run and run .. history
end
