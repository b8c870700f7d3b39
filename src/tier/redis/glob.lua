-- Whether a pattern matches a text as a whole: `*` any characters, `?` one, `\` the next as it is.
-- Characters are UTF-8. Only the last star is ever tried again, so it takes no more steps than the
-- lengths of both multiplied.
local function matches(pattern, text)
  local byte = string.byte
  local at, place, retry_at, retry_place = 1, 1, nil, nil
  -- The place after the character that begins at this one.
  local function after(place)
    repeat
      place = place + 1
      local next = byte(text, place)
    until not next or next < 128 or next > 191
    return place
  end
  while true do
    local sign, fits = byte(pattern, at), false
    if sign == 42 then
      at = at + 1
      retry_at, retry_place, fits = at, place, true
    elseif not sign then
      if place > #text then
        return true
      end
    elseif sign == 63 then
      if place <= #text then
        at, place, fits = at + 1, after(place), true
      end
    else
      local width = 1
      if sign == 92 then
        sign, width = byte(pattern, at + 1), 2
      end
      if byte(text, place) == sign then
        at, place, fits = at + width, place + 1, true
      end
    end
    if not fits then
      if not retry_at or retry_place > #text then
        return false
      end
      retry_place = after(retry_place)
      at, place = retry_at, retry_place
    end
  end
end
