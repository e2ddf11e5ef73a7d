---Takes terminal escapes out of what a sandbox printed. Pieces can end anywhere, so a filter
---keeps the state between them.
local M = {}

---@class glue.EscapeFilter
---@field keep_csi boolean control sequences stay, as for a terminal; only strings go
---@field private state string
local Filter = {}
Filter.__index = Filter

---For text all sequences go. For a terminal only those with a string in them (OSC, DCS, APC,
---PM, SOS: ECMA-48, 8.3): by them output would reach the clipboard, links and working
---directory of the person's editor. Whoever answers cursor keys and colours needs none.
---@param keep_csi boolean
---@return glue.EscapeFilter
function M.filter(keep_csi)
  return setmetatable({ keep_csi = keep_csi, state = '' }, Filter)
end

local function find(text, pattern, from)
  return text:find(pattern, from)
end

---Gives what of a piece is to be shown.
---@param piece string
---@return string
function Filter:feed(piece)
  if self.state == '' and not piece:find('\27', 1, true) and not piece:find('\194', 1, true) then
    return piece
  end
  local out, at = {}, 1
  -- What was begun is either the start of a sequence, or the middle of a string.
  if self.state == 'string' then
    piece, self.state = '\27]' .. piece, ''
  elseif self.state ~= '' then
    piece, self.state = self.state .. piece, ''
  end
  while at <= #piece do
    local esc = find(piece, '[\27\194]', at)
    if not esc then
      out[#out + 1] = piece:sub(at)
      break
    end
    out[#out + 1] = piece:sub(at, esc - 1)
    at = self:sequence(piece, esc, out)
  end
  return table.concat(out)
end

---Handles what begins at from, and gives where to go on.
---@private
function Filter:sequence(piece, from, out)
  local kind = piece:sub(from + 1, from + 1)
  if kind == '' then
    self.state = piece:sub(from)
    return #piece + 1
  end
  if piece:byte(from) == 0xC2 then
    -- U+0080 to U+009F are controls as well; those that begin a string are 90, 98, 9D to 9F.
    local c1 = kind:byte()
    if c1 < 0x80 or c1 > 0x9F then
      out[#out + 1] = piece:sub(from, from + 1)
      return from + 2
    end
    if c1 == 0x90 or c1 == 0x98 or c1 >= 0x9D then
      return self:skip_string(piece, from + 2)
    end
    if c1 ~= 0x9B then
      return from + 2
    end
    kind = '['
  end
  if kind:find('[%]PX^_]') then
    return self:skip_string(piece, from + 2)
  end
  if kind == '[' then
    local final = find(piece, '[\64-\126]', from + 2)
    local broken = find(piece, '[\24\26\27]', from + 2)
    if broken and (not final or broken < final) then
      return piece:byte(broken) == 27 and broken or broken + 1
    end
    if not final then
      -- No real one is so long.
      if #piece - from < 256 then
        self.state = piece:sub(from)
      end
      return #piece + 1
    end
    if self.keep_csi and piece:byte(from) == 27 then
      out[#out + 1] = piece:sub(from, final)
    end
    return final + 1
  end
  -- ESC, intermediates, one final byte.
  local final = find(piece, '[^\32-\47]', from + 1)
  if not final then
    if #piece - from < 16 then
      self.state = piece:sub(from)
    end
    return #piece + 1
  end
  if piece:byte(final) == 27 then
    return final
  end
  if self.keep_csi then
    out[#out + 1] = piece:sub(from, final)
  end
  return final + 1
end

---@private
function Filter:skip_string(piece, from)
  local at = from
  while true do
    local stop = find(piece, '[\7\24\26\27\194]', at)
    if not stop then
      self.state = 'string'
      return #piece + 1
    end
    local c, after = piece:byte(stop), piece:byte(stop + 1)
    if c == 7 or c == 24 or c == 26 then
      return stop + 1
    end
    if not after then
      -- The first half of what ends it: seen again with the next piece.
      self.state = '\27]' .. piece:sub(stop)
      return #piece + 1
    end
    if c == 27 then
      return after == 0x5C and stop + 2 or stop
    end
    if after == 0x9C then
      return stop + 2
    end
    at = stop + 1
  end
end

---A whole text without sequences.
---@param text string
function M.strip(text)
  return M.filter(false):feed(text)
end

return M
