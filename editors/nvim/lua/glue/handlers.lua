---What the server asks and tells, and the commands of its lenses and code actions.
local ui = require('glue.ui')

local M = {}

local kinds = {
  vim.log.levels.ERROR,
  vim.log.levels.WARN,
  vim.log.levels.INFO,
  vim.log.levels.DEBUG,
}

local function show_message(_, params)
  local text = ui.plain(params.message):gsub('^glue: ', '')
  vim.notify('glue: ' .. text, kinds[params.type] or vim.log.levels.INFO)
end

---A question of the server's: the last button is the harmless one.
local function show_question(_, params)
  local actions = params.actions or {}
  local buttons = vim.tbl_map(function(action)
    return action.title
  end, actions)
  local answer = ui.confirm(params.message, buttons, #buttons)
  return actions[answer] or vim.NIL
end

---@return table<string, lsp.Handler>
function M.handlers()
  return {
    ['glue/exec/output'] = function(_, params, ctx)
      require('glue.streams').output(params, ctx.client_id)
    end,
    ['glue/session/changed'] = function(_, params, ctx)
      require('glue.sessions').changed(ctx.client_id, params.session)
    end,
    ['workspace/applyEdit'] = function(_, params, ctx)
      return require('glue.apply').handle(params, ctx.client_id)
    end,
    ['window/showMessage'] = show_message,
    ['window/showMessageRequest'] = show_question,
  }
end

---The server's commands that are done here, so that output comes while a command runs and a
---return is shown first.
---@return table<string, fun(command: lsp.Command, ctx: table)>
function M.commands()
  local function run(command, ctx)
    require('glue.run').start(ctx.bufnr or 0, { run = (command.arguments or {})[1] or {} })
  end
  return {
    ['glue.run'] = function(command, ctx)
      local argument = (command.arguments or {})[1] or {}
      require('glue.run').start(ctx.bufnr or 0, { command = argument.command, cwd = argument.cwd })
    end,
    ['glue.runFile'] = run,
    ['glue.runTest'] = run,
    ['glue.runSelection'] = run,
    ['glue.session.return'] = function(command, ctx)
      local argument = (command.arguments or {})[1] or {}
      require('glue.returning').start(ctx.bufnr or 0, { session = argument.session })
    end,
  }
end

return M
