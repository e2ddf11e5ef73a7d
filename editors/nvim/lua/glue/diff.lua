---Shows what a session changed in one file: how it was, and how the sandbox has it.
local documents = require('glue.documents')
local ui = require('glue.ui')

local M = {}

---@param n? integer
local function octal(n)
  return n and ('%04o'):format(n) or '?'
end

---What a difference of texts does not show of a change, "" for nothing.
---@param file table a FileChange
function M.beside_text(file)
  local parts = {}
  if file.kind ~= 'text' then
    parts[#parts + 1] = file.kind
  end
  if file.oldMode and file.newMode and file.oldMode ~= file.newMode then
    parts[#parts + 1] = ('mode %s → %s'):format(octal(file.oldMode), octal(file.newMode))
  end
  if file.acts then
    parts[#parts + 1] = ('acts when the folder is %s: %s'):format(
      file.acts.when == 'open' and 'opened' or 'built',
      file.acts.why
    )
  end
  if file.outsideWorkspace then
    parts[#parts + 1] = 'outside of the folder'
  end
  return table.concat(parts, ', ')
end

---@param win integer
---@param buf integer
---@param title string
---@param from_start? boolean cut a title that is too long at its end, not at its start
local function pane(win, buf, title, from_start)
  vim.api.nvim_win_set_buf(win, buf)
  local bar = ui.literal(title) .. (from_start and '%<' or '')
  vim.api.nvim_set_option_value('winbar', bar, { win = win, scope = 'local' })
  vim.api.nvim_win_call(win, function()
    vim.cmd.diffthis()
  end)
end
M.pane = pane

---Opens a tab with both sides. Waits.
---@param session glue.Session
---@param file table a FileChange
function M.open(session, file)
  if file.kind ~= 'text' then
    ui.info(
      ('%s is no text (%s, %s); :GlueReturn %s brings it back'):format(
        file.path,
        file.status,
        M.beside_text(file),
        file.path
      )
    )
    return
  end
  local base = documents.open(documents.uri('base', session.id, file.oldPath or file.path))
  local sandbox = documents.open(documents.uri('sandbox', session.id, file.path))
  vim.cmd('tabnew')
  local empty = vim.api.nvim_get_current_buf()
  local left = vim.api.nvim_get_current_win()
  vim.cmd('rightbelow vsplit')
  local right = vim.api.nvim_get_current_win()
  pane(left, base, (' before: %s'):format(file.oldPath or file.path))
  pane(right, sandbox, (' sandbox: %s   (q close, :GlueReturn %%)'):format(file.path))
  pcall(vim.api.nvim_buf_delete, empty, {})
  for _, buf in ipairs({ base, sandbox }) do
    vim.b[buf].glue_path = file.path
    vim.b[buf].glue_session = session.id
    vim.keymap.set('n', 'q', '<Cmd>tabclose<CR>', { buffer = buf, desc = 'Close the difference' })
  end
  vim.cmd('silent! normal! gg]c')
  local more = M.beside_text(file)
  if more ~= '' then
    ui.info(('%s: %s'):format(file.path, more))
  end
end

return M
