---What is set up for a buffer that the server follows.
local client_module = require('glue.client')
local config = require('glue.config')

local M = {}

---@type table<integer, boolean>
local seen = {}

local function show_lenses(buf)
  if vim.lsp.codelens.enable then
    vim.lsp.codelens.enable(true, { bufnr = buf })
    return
  end
  vim.lsp.codelens.refresh({ bufnr = buf })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufWritePost', 'BufEnter', 'TextChanged' }, {
    group = vim.api.nvim_create_augroup('glue.lenses.' .. buf, {}),
    buffer = buf,
    callback = function()
      vim.lsp.codelens.refresh({ bufnr = buf })
    end,
  })
end

---@param client vim.lsp.Client
---@param buf integer
function M.attached(client, buf)
  if config.options.codelens then
    show_lenses(buf)
  end
  if not seen[client.id] then
    seen[client.id] = true
    client_module.watch()
    require('glue.leave').setup()
    vim.schedule(function()
      client_module.follow_all(client)
    end)
  end
end

return M
