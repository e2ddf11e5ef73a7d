---Finds file locations in what a command printed, and the files on the host that they mean.
local folders = require('glue.folders')

local M = {}

local most = 1000 -- entries of one list
local longest = 500 -- bytes of a line that is looked at

-- name, line and column: compilers, linters and test runners print one of these.
local patterns = {
  { '^%s*File "([^"]+)", line (%d+)' },
  { '%(([^()%s]+):(%d+):(%d+)%)' },
  { '^%s*%-*>?%s*([^%s:()\'"]+):(%d+):(%d+)' },
  { '^%s*%-*>?%s*([^%s:()\'"]+):(%d+)' },
  { '^%s*([^%s:()\'"]+)%((%d+),(%d+)%)' },
  { '%s([^%s:()\'"]+%.%w+):(%d+):(%d+)' },
  { '%s([^%s:()\'"]+%.%w+):(%d+)' },
}

---@param line string
---@return string? name
---@return integer? lnum
---@return integer? col
function M.parse(line)
  if #line > longest then
    return nil
  end
  for _, pattern in ipairs(patterns) do
    local name, lnum, col = line:match(pattern[1])
    if name and #lnum < 9 and (not col or #col < 9) then
      return name, tonumber(lnum), col and tonumber(col) or nil
    end
  end
end

---@class glue.Places
---@field root string the tree's root in the sandbox
---@field cwd string where the command ran
---@field host string the tree's root on the host
---@field near? string folder on the host of the file that was run

-- Only files inside of the tree count, wherever links lead.
local function inside(path, host)
  local real = vim.uv.fs_realpath(path)
  local stat = real and vim.uv.fs_stat(real)
  if not stat or stat.type ~= 'file' then
    return nil
  end
  local top = vim.uv.fs_realpath(host)
  if
    top and folders.is_below(real --[[@as string]], top)
  then
    return path
  end
end

---The file on the host that a printed name means, nil when it is none of the tree's.
---@param name string
---@param places glue.Places
---@return string?
function M.file(name, places)
  if name:find('[%z\n]') then
    return nil
  end
  local candidates = {}
  if name:sub(1, 1) == '/' then
    local path = vim.fs.normalize(name)
    if folders.is_below(path, places.root) then
      candidates[1] = places.host .. path:sub(#places.root + 1)
    elseif folders.is_below(path, places.host) then
      candidates[1] = path
    end
  else
    local cwd = places.host .. places.cwd:sub(#places.root + 1)
    candidates = { cwd .. '/' .. name }
    if places.near then
      candidates[2] = places.near .. '/' .. name
    end
  end
  for _, candidate in ipairs(candidates) do
    local found = inside(vim.fs.normalize(candidate), places.host)
    if found then
      return found
    end
  end
end

---@class glue.Collector collects locations while output comes
local Collector = {}
Collector.__index = Collector

---@param places glue.Places
function M.collector(places)
  return setmetatable({ places = places, items = {}, files = {} }, Collector)
end

---@param lines string[]
function Collector:add(lines)
  for _, line in ipairs(lines) do
    if #self.items >= most then
      return
    end
    local name, lnum, col = M.parse(line)
    if name then
      local file = self.files[name]
      if file == nil then
        file = M.file(name, self.places) or false
        self.files[name] = file
      end
      if file then
        self.items[#self.items + 1] =
          { filename = file, lnum = lnum, col = col or 0, text = vim.trim(line) }
      end
    end
  end
end

---Fills the quickfix list, if anything was found.
---@param title string
---@return integer how many
function Collector:fill(title)
  if #self.items > 0 then
    vim.fn.setqflist({}, ' ', { title = title, items = self.items })
  end
  return #self.items
end

return M
