---Shows what comes in portions, with pauses in which a person can type.
local M = {}

-- Showing takes at most a quarter of the time.
local rest = 3

---@class glue.Feed
---@field push fun(bytes: string)
---@field flush fun() shows all that is left, now

---@param portion integer bytes that are shown at once
---@param interval integer milliseconds between two portions, at least
---@param show fun(bytes: string)
---@param interrupted? fun() Ctrl-C came while something was shown, which Neovim makes an error
---@return glue.Feed
function M.new(portion, interval, show, interrupted)
  ---@type string[]
  local queue = {}
  local first, last, waiting = 1, 0, false
  local next_one

  local function take()
    local parts, size = {}, 0
    while first <= last and size < portion do
      local bytes = queue[first]
      local room = portion - size
      if #bytes > room then
        queue[first] = bytes:sub(room + 1)
        bytes = bytes:sub(1, room)
      else
        queue[first] = nil
        first = first + 1
      end
      parts[#parts + 1] = bytes
      size = size + #bytes
    end
    if size > 0 then
      show(table.concat(parts))
    end
    return size > 0
  end

  local function look()
    waiting = false
    local before = vim.uv.hrtime()
    local ok, more = pcall(take)
    if not ok and not tostring(more):find('Keyboard interrupt', 1, true) then
      error(more, 0)
    end
    if not ok and interrupted then
      interrupted()
    end
    if more then
      local spent = (vim.uv.hrtime() - before) / 1e6
      next_one(math.max(interval, math.ceil(spent * rest)))
    end
  end

  function next_one(delay)
    if not waiting then
      waiting = true
      vim.defer_fn(look, delay)
    end
  end

  return {
    push = function(bytes)
      last = last + 1
      queue[last] = bytes
      next_one(0)
    end,
    flush = function()
      while take() do
      end
    end,
  }
end

return M
