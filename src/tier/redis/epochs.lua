-- The epochs of resources, tags and patterns: what was loaded at a lower sequence is void.
--
-- Field `r:{resource}`: the longest span for which anything was ever kept, the epoch of the whole
-- resource and when it may go, the highest epochs of its tags and of its patterns, how many tags
-- have one. Field `t:{length}:{resource}{tag}`: an epoch, and when it may go. Field `p:{resource}`:
-- `{pattern, epoch, when it may go}` of each.
local ROW = '>I8I8i8I8I8I4'
local rows, pattern_lists = {}, {}

local function row_of(resource)
  local row = rows[resource]
  if not row then
    row = { span = 0, all = 0, ends = 0, tag = 0, pattern = 0, tags = 0 }
    local packed = redis.call('HGET', meta, 'r:' .. resource)
    if packed then
      row.span, row.all, row.ends, row.tag, row.pattern, row.tags = struct.unpack(ROW, packed)
    end
    rows[resource] = row
  end
  return row
end

local function save(resource, row)
  local packed =
    struct.pack(ROW, row.span, row.all, row.ends, row.tag, row.pattern, row.tags)
  redis.call('HSET', meta, 'r:' .. resource, packed)
end

-- Notes that something of a resource is kept for a span from now on.
local function note_span(resource, span)
  local row = row_of(resource)
  if span > row.span then
    row.span = span
    save(resource, row)
  end
end

local function patterns_of(resource)
  local patterns = pattern_lists[resource]
  if not patterns then
    local packed = redis.call('HGET', meta, 'p:' .. resource)
    patterns = packed and cmsgpack.unpack(packed) or {}
    pattern_lists[resource] = patterns
  end
  return patterns
end

local function tag_field(resource, tag)
  return 't:' .. #resource .. ':' .. resource .. tag
end

-- The resource and the text of a full key, `{prefix}:{resource}:{text}`.
local function split(key)
  local first = string.find(key, ':', 1, true)
  local second = first and string.find(key, ':', first + 1, true)
  if not second then
    return key, ''
  end
  return string.sub(key, 1, second - 1), string.sub(key, second + 1)
end

-- Calls `each` with every tag of a section of tags, until it gives true.
local function any_tag(section, each)
  local at = 1
  while at <= #section do
    local length
    length, at = struct.unpack('>I4', section, at)
    if each(string.sub(section, at, at + length - 1)) then
      return true
    end
    at = at + length
  end
  return false
end

-- Whether what was loaded at a sequence is void.
local function is_void(key, sequence, tags)
  local resource, text = split(key)
  local row = row_of(resource)
  if row.all > sequence then
    return true
  end
  if row.pattern > sequence then
    for _, pattern in ipairs(patterns_of(resource)) do
      if pattern[2] > sequence and matches(pattern[1], text) then
        return true
      end
    end
  end
  return row.tag > sequence and any_tag(tags, function(tag)
    local epoch = redis.call('HGET', meta, tag_field(resource, tag))
    return epoch and struct.unpack('>I8', epoch) > sequence
  end)
end
