---What a person can set. Only their own Lua sets it; nothing is read from a working tree.
local M = {}

---@class glue.Options
---@field cmd? string[] the server's command; default glue-lsp from PATH
---@field settings? table<string, any> the server's settings, see docs/settings.md
---@field root_markers? string[] what the root of a project contains
---@field codelens? boolean show "Run in sandbox" above what can be run
---@field output_height? integer lines of the window for output
---@field output_lines? integer lines that an output buffer keeps; the log has all
---@field ask_on_exit? boolean ask before leaving with changes that were not returned
---@field restart? boolean start the server again when it crashed
local defaults = {
  cmd = { 'glue-lsp' },
  settings = {},
  root_markers = { '.git' },
  codelens = true,
  output_height = 12,
  output_lines = 20000,
  ask_on_exit = true,
  restart = true,
}

local types = {
  cmd = 'table',
  settings = 'table',
  root_markers = 'table',
  codelens = 'boolean',
  output_height = 'number',
  output_lines = 'number',
  ask_on_exit = 'boolean',
  restart = 'boolean',
}

---@type glue.Options
M.options = vim.deepcopy(defaults)

---Takes options over. Wrong ones are named in an error, and change nothing.
---@param options? glue.Options
function M.set(options)
  options = vim.deepcopy(options or {})
  if type(options.cmd) == 'string' then
    options.cmd = { options.cmd }
  end
  for name, value in pairs(options) do
    if not types[name] then
      error(('glue: there is no option %q; see :help glue-options'):format(name), 0)
    end
    if type(value) ~= types[name] then
      error(
        ('glue: the option %s must be a %s, not a %s'):format(name, types[name], type(value)),
        0
      )
    end
  end
  if options.cmd and (#options.cmd == 0 or type(options.cmd[1]) ~= 'string') then
    error('glue: the option cmd must name a program', 0)
  end
  M.options = vim.tbl_extend('force', vim.deepcopy(defaults), options)
end

---The settings as the server wants them: all of it is the person's own.
---@param settings table<string, any>
function M.for_server(settings)
  local user = vim.empty_dict()
  for name, value in pairs(settings) do
    user[name] = value
  end
  return { glue = { user = user, workspace = vim.empty_dict(), trusted = false } }
end

return M
