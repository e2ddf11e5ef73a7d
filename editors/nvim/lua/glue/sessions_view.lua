---:GlueSessions: the sessions of this folder in a buffer with keys.
local async = require('glue.async')
local client_module = require('glue.client')
local config = require('glue.config')
local sessions = require('glue.sessions')
local ui = require('glue.ui')

local M = {}

local view = { buf = nil, client = nil, list = {} }

local function fill()
  local lines = vim.tbl_map(sessions.describe, view.list)
  ui.set_lines(view.buf, #lines > 0 and lines or { 'There are no sessions of this folder.' })
end

---Lists again, if the list is there. Waits.
function M.reload()
  if not (view.buf and vim.api.nvim_buf_is_valid(view.buf)) then
    return
  end
  local client = vim.lsp.get_client_by_id(view.client)
  local list = client and sessions.list(client)
  if list then
    view.list = list
    fill()
  end
end

local function keys(buf)
  local function map(lhs, doc, action)
    vim.keymap.set('n', lhs, function()
      local info = view.list[vim.api.nvim_win_get_cursor(0)[1]]
      if info then
        action(info.id)
      end
    end, { buffer = buf, desc = doc, nowait = true })
  end
  map('<CR>', 'List the changes', function(id)
    require('glue.changes').command(buf, nil, id)
  end)
  map('r', 'Return the changes', function(id)
    require('glue.returning').start(buf, { session = id })
  end)
  map('u', 'Undo the last return', function(id)
    require('glue.returning').undo(buf, id)
  end)
  map('x', 'Throw the changes away', function(id)
    require('glue.returning').discard(buf, { session = id })
  end)
  map('c', 'Close the sandbox', function(id)
    require('glue.returning').close(buf, id)
  end)
  vim.keymap.set('n', 'gr', function()
    async.run(M.reload)
  end, { buffer = buf, desc = 'List again' })
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, desc = 'Close the list' })
end

---@param buf integer
function M.show(buf)
  async.run(function()
    local client = client_module.ensure(buf)
    local list = client and sessions.list(client)
    if not client or not list then
      return
    end
    if #list == 0 then
      ui.info('there are no sessions of this folder')
      return
    end
    if not (view.buf and vim.api.nvim_buf_is_valid(view.buf)) then
      view.buf = ui.scratch('glue://sessions')
      vim.bo[view.buf].filetype = 'glue-sessions'
      keys(view.buf)
    end
    view.client, view.list = client.id, list
    fill()
    local win =
      ui.below(view.buf, math.min(math.max(#list, 3) + 1, config.options.output_height), true)
    vim.api.nvim_set_option_value(
      'winbar',
      ' sessions   (<CR> changes  r return  u undo  x discard  c close  q close window)',
      { win = win, scope = 'local' }
    )
    vim.api.nvim_set_option_value('cursorline', true, { win = win, scope = 'local' })
  end)
end

return M
