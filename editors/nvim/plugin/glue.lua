if vim.g.loaded_glue or vim.fn.has('nvim-0.10') == 0 then
  return
end
vim.g.loaded_glue = true

require('glue.commands').create()

local group = vim.api.nvim_create_augroup('glue', {})

vim.api.nvim_create_autocmd('BufReadCmd', {
  group = group,
  pattern = { 'glue-base:/*', 'glue-sandbox:/*' },
  callback = function(args)
    require('glue.documents').read(args.buf, args.match)
  end,
})

-- However the server was started.
vim.api.nvim_create_autocmd('LspAttach', {
  group = group,
  callback = function(args)
    local client = vim.lsp.get_client_by_id(args.data.client_id)
    if client and client.name == 'glue' then
      require('glue.attached').attached(client, args.buf)
    end
  end,
})
