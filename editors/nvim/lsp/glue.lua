-- For vim.lsp.enable('glue'), from Neovim 0.11 on.
local client = require('glue.client')
local folders = require('glue.folders')

local config = client.config()
config.root_dir = function(buf, on_dir)
  local root = folders.project_of(buf)
  if root then
    on_dir(root)
  end
end
return config
