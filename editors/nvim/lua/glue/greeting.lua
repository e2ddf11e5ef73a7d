---How client and server introduce themselves: what this one can do, and whether that one fits.
local config = require('glue.config')
local ui = require('glue.ui')

local M = {}

---The version of the glue/ methods that this plugin speaks.
local protocol_version = 1
-- What it cannot do without.
local needed = { 'glue/exec', 'glue/exec/attach', 'glue/session/open', 'glue/session/return' }

---What must hold whatever else a configuration says.
function M.before_init(params, client_config)
  local capabilities = params.capabilities
  local workspace = capabilities.workspace or {}
  capabilities.workspace = workspace
  workspace.textDocumentContent = vim.empty_dict()
  workspace.workspaceEdit = workspace.workspaceEdit or {}
  -- Files that act by themselves are asked for by name before a return, alike in every version.
  workspace.workspaceEdit.changeAnnotationSupport = nil
  capabilities.experimental = capabilities.experimental or {}
  capabilities.experimental.glue = { editUnsavedOnly = true, review = true }

  -- vim.lsp.config's way of settings. The server is told as well whose they are.
  local settings = client_config.settings
  if type(settings) == 'table' and type(settings.glue) == 'table' then
    if not (settings.glue.user or settings.glue.workspace) then
      settings.glue = config.for_server(settings.glue).glue
    end
    params.initializationOptions = settings
  end
end

function M.on_init(client, result)
  local glue = vim.tbl_get(result, 'capabilities', 'experimental', 'glue')
  local program = type(client.config.cmd) == 'table' and client.config.cmd[1] or 'the server'
  local version = result.serverInfo and result.serverInfo.version or 'of an unknown version'
  local problem
  if type(glue) ~= 'table' then
    problem = ('%s is not glue-lsp'):format(program)
  elseif glue.version ~= protocol_version then
    problem = ('%s (%s) speaks version %s of glue’s protocol, this plugin version %d'):format(
      program,
      version,
      tostring(glue.version),
      protocol_version
    )
  else
    for _, method in ipairs(needed) do
      if not vim.list_contains(glue.methods or {}, method) then
        problem = ('%s (%s) is older than this plugin: it has no %s'):format(
          program,
          version,
          method
        )
        break
      end
    end
  end
  if problem then
    require('glue.client').stop(client)
    ui.error(problem .. '. Install the plugin and the server from one release; :checkhealth glue')
  end
end

return M
