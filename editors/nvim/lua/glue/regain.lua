---Goes on with what ran when a server crashed, once its folder has a server again.
local client_module = require('glue.client')
local run = require('glue.run')
local sessions = require('glue.sessions')
local term = require('glue.term')

local M = {}

---@param client vim.lsp.Client
function M.all(client)
  local root = client_module.root_of(client)
  if #run.detached(root) + #term.detached(root) == 0 then
    return
  end
  -- The session is the one that these commands are in, if it could be taken up.
  local session = sessions.open(client)
  run.regain(client, session)
  term.regain(client, session)
end

return M
