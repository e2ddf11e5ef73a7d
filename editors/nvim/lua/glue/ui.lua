---Messages, questions and scratch buffers.
local M = {}

local levels = vim.log.levels

---Text that came from elsewhere, for a message: no control characters, bounded.
---@param text string
function M.plain(text)
  text = require('glue.escapes').strip(text):gsub('[%z\1-\8\11-\31\127]', '')
  if #text > 2000 then
    text = vim.fn.strcharpart(text, 0, 1990) .. ' …'
  end
  return text
end

---One line of it.
---@param text string
function M.line(text)
  return (M.plain(text):gsub('%s*\n%s*', ' '))
end

---The same, of at most so many cells.
---@param text string
---@param cells integer
function M.short(text, cells)
  text = M.line(text)
  if vim.fn.strdisplaywidth(text) <= cells then
    return text
  end
  return vim.fn.strcharpart(text, 0, cells - 1) .. '…'
end

---@param text string
function M.info(text)
  vim.notify('glue: ' .. M.plain(text), levels.INFO)
end

---@param text string
function M.warn(text)
  vim.notify('glue: ' .. M.plain(text), levels.WARN)
end

---@param text string
function M.error(text)
  vim.notify('glue: ' .. M.plain(text), levels.ERROR)
end

---Asks a question with buttons; the first answer that begins with a letter after & has that
---letter as its key. Gives the number of the answer, or the default when nobody can answer.
---@param question string
---@param buttons string[]
---@param default integer
---@return integer
function M.confirm(question, buttons, default)
  if #vim.api.nvim_list_uis() == 0 then
    return default
  end
  local ok, answer =
    pcall(vim.fn.confirm, M.plain(question), table.concat(buttons, '\n'), default, 'Question')
  -- An interrupt is no answer, and nor is <Esc>: both are the harmless default.
  if not ok or answer == 0 then
    return default
  end
  return answer
end

---@param n integer
---@param noun string
function M.count(n, noun)
  return n == 1 and ('1 ' .. noun) or ('%d %ss'):format(n, noun)
end

---Names the first few of a list.
---@param names string[]
---@param most? integer
function M.some(names, most)
  most = most or 5
  local shown = vim.list_slice(names, 1, most)
  if #names > most then
    shown[#shown + 1] = ('and %d more'):format(#names - most)
  end
  return table.concat(shown, ', ')
end

---Makes a buffer that belongs to no file, under a name that no other buffer has.
---@param name string
---@return integer
function M.scratch(name)
  local buf = vim.api.nvim_create_buf(false, true)
  local unique, n = name, 1
  while vim.fn.bufexists(unique) == 1 do
    n = n + 1
    unique = ('%s (%d)'):format(name, n)
  end
  vim.api.nvim_buf_set_name(buf, unique)
  vim.bo[buf].buftype = 'nofile'
  vim.bo[buf].swapfile = false
  vim.bo[buf].undolevels = -1
  vim.bo[buf].modeline = false
  return buf
end

---Replaces all lines of a buffer that cannot be edited.
---@param buf integer
---@param lines string[]
function M.set_lines(buf, lines)
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable = false
  vim.bo[buf].modified = false
end

---Shows a buffer in a window at the bottom, and gives that window.
---@param buf integer
---@param height integer
---@param enter boolean
function M.below(buf, height, enter)
  local shown = vim.fn.win_findbuf(buf)
  for _, win in ipairs(shown) do
    if vim.api.nvim_win_get_tabpage(win) == vim.api.nvim_get_current_tabpage() then
      if enter then
        vim.api.nvim_set_current_win(win)
      end
      return win
    end
  end
  local before = vim.api.nvim_get_current_win()
  for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
    if vim.w[win].glue_below then
      vim.api.nvim_win_set_buf(win, buf)
      if enter then
        vim.api.nvim_set_current_win(win)
      end
      return win
    end
  end
  vim.cmd(('keepalt botright %dsplit'):format(height))
  local win = vim.api.nvim_get_current_win()
  vim.api.nvim_win_set_buf(win, buf)
  vim.w[win].glue_below = true
  for option, value in pairs({
    number = false,
    relativenumber = false,
    signcolumn = 'no',
    foldcolumn = '0',
    spell = false,
    list = false,
    winfixheight = true,
    cursorline = false,
  }) do
    vim.api.nvim_set_option_value(option, value, { win = win, scope = 'local' })
  end
  if not enter and vim.api.nvim_win_is_valid(before) then
    vim.api.nvim_set_current_win(before)
  end
  return win
end

---A text for 'winbar' and 'statusline', in which nothing is an item of theirs.
---@param text string
function M.literal(text)
  return (M.line(text):gsub('%%', '%%%%'))
end

return M
