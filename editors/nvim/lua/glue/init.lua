---Run commands on the tree in the editor, in a sandbox, and get their changes back to review.
---See :help glue.
local M = {}

---Starts the server for files of projects, from now on and for those that are open. All options
---have defaults; see :help glue-options.
---@param options? glue.Options
function M.setup(options)
  if vim.fn.has('nvim-0.10') == 0 then
    vim.notify('glue: Neovim 0.10 or newer is needed', vim.log.levels.ERROR)
    return
  end
  require('glue.config').set(options)
  local client = require('glue.client')
  if vim.lsp.config then -- Neovim 0.11: what was said there first is not the last word
    vim.lsp.config('glue', client.config())
  end
  client.watch(true)
end

---For 'statusline': runtime, isolation, changed files and time left, "" without a sandbox.
---@param buf? integer
---@return string
function M.status(buf)
  if not package.loaded['glue.client'] then
    return ''
  end
  return require('glue.sessions').status(buf)
end

return M
