---Leaving Neovim while something was not returned, or still runs: a question first.
local client_module = require('glue.client')
local config = require('glue.config')
local sessions = require('glue.sessions')
local ui = require('glue.ui')

local M = {}

---What runs and ends with the server, nil for nothing.
---@return string?
function M.running()
  local parts = {}
  local commands, terminals = #require('glue.run').running(), require('glue.term').open_count()
  if commands > 0 then
    parts[1] = ui.count(commands, 'command')
  end
  if terminals > 0 then
    parts[#parts + 1] = ui.count(terminals, 'terminal')
  end
  return #parts > 0 and table.concat(parts, ' and ') .. ' in the sandbox will be ended' or nil
end

---What would be left behind, nil for nothing.
---@return string?
local function left_behind()
  local parts = { M.running() }
  for _, client in ipairs(client_module.all()) do
    local info = sessions.open_one(client)
    if info and sessions.has_changes(info) then
      parts[#parts + 1] = ('%s of the sandbox of %s did not come back'):format(
        ui.count(info.checkpoint.changedFiles, 'changed file'),
        vim.fs.basename(client_module.root_of(client))
      )
    end
  end
  return #parts > 0 and table.concat(parts, ', and ') or nil
end

---Called when Neovim is about to end. It stays when the window that is being closed is another
---one by then (see before_quit_autocmds in Neovim's source).
local function stay()
  local win = vim.api.nvim_get_current_win()
  vim.cmd('split')
  pcall(vim.api.nvim_win_close, win, true)
end

function M.ask()
  if not config.options.ask_on_exit or #vim.api.nvim_list_uis() == 0 then
    return
  end
  local what = left_behind()
  if not what then
    return
  end
  local answer = ui.confirm(
    what .. '.\nChanges are kept, and offered at the next start. Leave?',
    { '&Leave', '&Show the changes', '&Cancel' },
    1
  )
  if answer == 1 then
    return
  end
  stay()
  if answer == 2 then
    local buf = vim.api.nvim_get_current_buf()
    vim.schedule(function()
      require('glue.changes').command(buf)
    end)
  end
end

function M.setup()
  vim.api.nvim_create_autocmd('ExitPre', {
    group = vim.api.nvim_create_augroup('glue.leave', {}),
    callback = M.ask,
  })
end

return M
