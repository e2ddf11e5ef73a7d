---A command's output as a buffer that grows while the command runs.
local config = require('glue.config')
local escapes = require('glue.escapes')
local ui = require('glue.ui')

local M = {}

local interval = 30 -- milliseconds between two looks at what came
local per_look = 64 * 1024 -- bytes shown at once
local longest = 4096 -- bytes of one line; longer ones are broken

local dim = vim.api.nvim_create_namespace('glue.output')

---@class glue.Output
---@field buf integer
---@field title string
---@field state string what the window's bar says
---@field running boolean
---@field private since? number when it began to run, while it does
---@field private clock? uv.uv_timer_t
---@field shown? fun(bytes: integer) acknowledges
---@field lines_of? fun(first: integer, lines: string[]) sees finished lines
---@field private feed glue.Feed
---@field private partial string the last line, which has no end yet
---@field private dropped boolean
local Output = {}
Output.__index = Output

---@type table<integer, glue.Output>
local by_buf = {}
---@type glue.Output[] oldest first
local all = {}
local most_kept = 10

local function forget_old()
  local spare = #all - most_kept
  for _, output in ipairs(vim.list_slice(all)) do
    if spare <= 0 then
      return
    end
    if not output.running and #vim.fn.win_findbuf(output.buf) == 0 then
      spare = spare - 1
      pcall(vim.api.nvim_buf_delete, output.buf, { force = true })
    end
  end
end

---@param title string
---@return glue.Output
function M.new(title)
  forget_old()
  local buf = ui.scratch('glue://output/' .. ui.line(title):sub(1, 60))
  local self = setmetatable({
    buf = buf,
    title = title,
    state = 'starting',
    running = true,
    partial = '',
    dropped = false,
  }, Output)
  local filter = escapes.filter(false)
  self.feed = require('glue.pace').new(per_look, interval, function(bytes)
    local ok, err = pcall(self.append, self, filter:feed(bytes))
    if self.shown then
      self.shown(#bytes) -- or the command would be held back for ever
    end
    if not ok then
      error(err, 0)
    end
  end, function()
    if self.on_interrupt and vim.api.nvim_get_current_buf() == buf then
      self.on_interrupt()
    end
  end)
  by_buf[buf] = self
  all[#all + 1] = self
  vim.bo[buf].bufhidden = 'hide'
  vim.bo[buf].filetype = 'glue-output'
  vim.bo[buf].modifiable = false
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = buf,
    callback = function()
      self:stop_clock()
      by_buf[buf] = nil
      all = vim.tbl_filter(function(one)
        return one ~= self
      end, all)
      if self.on_wipe then
        self.on_wipe()
      end
    end,
  })
  vim.api.nvim_create_autocmd('BufWinEnter', {
    buffer = buf,
    callback = function()
      self:bar()
    end,
  })
  return self
end

---The output that a buffer shows.
---@param buf integer
---@return glue.Output?
function M.of(buf)
  return by_buf[buf]
end

---Evaluated by 'winbar' in its window.
function M.winbar()
  local self = by_buf[vim.api.nvim_win_get_buf(vim.g.statusline_winid or 0)]
  if not self then
    return ''
  end
  local keys = self.running and '<C-c> cancel' or '<CR> go to file  q close'
  local state = ui.short(self.state, 60)
  if self.since then
    state = ('%s, %d s'):format(state, math.floor((vim.uv.now() - self.since) / 1000))
  end
  -- What is left of the line is the title's.
  local room = vim.api.nvim_win_get_width(vim.g.statusline_winid or 0)
    - vim.fn.strdisplaywidth(state .. keys)
  return (' %s — %s   (%s)'):format(ui.short(self.title, math.max(room - 10, 20)), state, keys)
end

function Output:bar()
  for _, win in ipairs(vim.fn.win_findbuf(self.buf)) do
    vim.api.nvim_set_option_value(
      'winbar',
      '%{v:lua.require("glue.output").winbar()}%<',
      { win = win, scope = 'local' }
    )
  end
end

---@param text string
function Output:set_state(text)
  self.state = text
  pcall(vim.cmd.redrawstatus, { bang = true })
end

---Shows how long it has run, from now on.
function Output:start_clock()
  self:stop_clock()
  self.since = vim.uv.now()
  self.clock = assert(vim.uv.new_timer())
  self.clock:start(
    1000,
    1000,
    vim.schedule_wrap(function()
      -- Not while a question is on the screen.
      if self.clock and vim.api.nvim_get_mode().mode:match('^[nivVt\22]') then
        pcall(vim.cmd.redrawstatus, { bang = true })
      end
    end)
  )
end

---@private
function Output:stop_clock()
  if self.clock then
    self.clock:stop()
    self.clock:close()
  end
  self.clock, self.since = nil, nil
end

---Shows the buffer at the bottom; the cursor stays where it is.
function Output:show()
  local win = ui.below(self.buf, config.options.output_height, false)
  self:bar()
  vim.api.nvim_win_set_cursor(win, { vim.api.nvim_buf_line_count(self.buf), 0 })
end

---Takes bytes over; they are shown soon.
---@param bytes string
function Output:push(bytes)
  self.feed.push(bytes)
end

---Shows all that came, now.
function Output:flush()
  self.feed.flush()
end

-- What stands after the last carriage return is what a terminal would show.
local function as_shown(line)
  if line:find('\r', 1, true) then
    line = line:gsub('\r+$', '')
    line = line:match('^.*\r(.*)$') or line
  end
  return (line:gsub('[%z\1-\8\11-\31\127]', ''))
end

-- Where to break a line that is too long, not within a character.
local function cut(line)
  local at = longest
  while at > longest - 4 and (line:byte(at + 1) or 0) >= 0x80 and (line:byte(at + 1) or 0) < 0xC0 do
    at = at - 1
  end
  return at
end

---@private
---@param text string
function Output:append(text)
  if not vim.api.nvim_buf_is_valid(self.buf) then
    return
  end
  local lines = vim.split(self.partial .. text, '\n', { plain = true })
  self.partial = table.remove(lines)
  -- A progress bar is one line that never ends: what it said before is not kept.
  if #self.partial > longest then
    self.partial = self.partial:match('^.*\r(.+)$') or self.partial
  end
  while #self.partial > longest and not self.partial:find('\r', 1, true) do
    local at = cut(self.partial)
    lines[#lines + 1] = self.partial:sub(1, at)
    self.partial = self.partial:sub(at + 1)
  end
  self.partial = self.partial:sub(-longest)
  local out = {}
  for _, line in ipairs(lines) do
    line = as_shown(line)
    while #line > longest do
      local at = cut(line)
      out[#out + 1] = line:sub(1, at)
      line = line:sub(at + 1)
    end
    out[#out + 1] = line
  end
  self:put(out, as_shown(self.partial))
end

---@private
function Output:put(lines, rest)
  local buf, keep = self.buf, config.options.output_lines
  local count = vim.api.nvim_buf_line_count(buf)
  local following = {}
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    if vim.api.nvim_win_get_cursor(win)[1] >= count then
      following[#following + 1] = win
    end
  end
  if self.lines_of and #lines > 0 then
    self.lines_of(lines)
  end
  if #lines > keep then
    lines = vim.list_slice(lines, #lines - keep + 1)
    self.dropped = true
  end
  lines[#lines + 1] = rest
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(buf, count - 1, count, false, lines)
  local over = vim.api.nvim_buf_line_count(buf) - keep
  if over > 0 then
    vim.api.nvim_buf_set_lines(buf, 0, over, false, {})
    self.dropped = true
  end
  if self.dropped then
    vim.api.nvim_buf_clear_namespace(buf, dim, 0, 1)
    vim.api.nvim_buf_set_extmark(buf, dim, 0, 0, {
      id = 1,
      virt_lines = { { { '[earlier output is not shown]', 'Comment' } } },
      virt_lines_above = true,
    })
  end
  vim.bo[buf].modifiable = false
  local last = vim.api.nvim_buf_line_count(buf)
  for _, win in ipairs(following) do
    vim.api.nvim_win_set_cursor(win, { last, 0 })
  end
end

---Says something of our own below what was printed.
---@param text string
function Output:note(text)
  self:flush()
  if not vim.api.nvim_buf_is_valid(self.buf) then
    return
  end
  if self.partial ~= '' then
    self:append('\n')
  end
  self:append('[' .. ui.line(text) .. ']\n')
  vim.api.nvim_buf_set_extmark(
    self.buf,
    dim,
    vim.api.nvim_buf_line_count(self.buf) - 2,
    0,
    { line_hl_group = 'Comment' }
  )
end

---The command has ended.
---@param state string
function Output:finish(state)
  self.running = false
  self:stop_clock()
  self:flush()
  self:set_state(state)
end

return M
