---:checkhealth glue
local M = {}

---What a version of the server says of itself.
---@param program string
---@return string?
local function version_of(program)
  local ok, result = pcall(function()
    return vim.system({ program, 'version' }, { text = true, timeout = 5000 }):wait()
  end)
  return ok and result.code == 0 and vim.trim(result.stdout) or nil
end

---@param program string
local function doctor(program)
  local ok, result = pcall(function()
    return vim
      .system({ program, 'doctor', '--json' }, { text = true, timeout = 60000, cwd = vim.fn.getcwd() })
      :wait()
  end)
  if not ok then
    vim.health.error('the doctor did not answer: ' .. tostring(result))
    return
  end
  local fine, report = pcall(vim.json.decode, result.stdout, { luanil = { object = true } })
  if not fine or type(report) ~= 'table' then
    vim.health.error('the doctor did not answer: ' .. vim.trim(result.stderr or ''))
    return
  end
  local ui = require('glue.ui')
  for _, check in ipairs(report.checks or {}) do
    local text = ui.line(('%s: %s'):format(check.name, check.detail))
    local advice = check.hint and { ui.line(check.hint) } or nil
    if check.status == 'ok' then
      vim.health.ok(text)
    elseif check.status == 'warn' then
      vim.health.warn(text, advice)
    else
      vim.health.error(text, advice)
    end
  end
end

function M.check()
  vim.health.start('glue: the plugin')
  if vim.fn.has('nvim-0.10') == 0 then
    vim.health.error('Neovim 0.10 or newer is needed')
    return
  end
  vim.health.ok('Neovim ' .. tostring(vim.version()))
  local client_module = require('glue.client')
  local command = require('glue.config').options.cmd
  if vim.lsp.config and vim.lsp.config.glue and type(vim.lsp.config.glue.cmd) == 'table' then
    command = vim.lsp.config.glue.cmd --[[@as string[] ]]
  end
  local problem = client_module.missing(command)
  if problem then
    vim.health.error(problem)
    return
  end
  local program = vim.fn.exepath(command[1])
  local version = version_of(program)
  if not version then
    vim.health.error(
      program .. ' does not answer to "version"',
      { 'Is it glue-lsp? Name another program by the option cmd.' }
    )
    return
  end
  vim.health.ok(('%s: %s'):format(program, require('glue.ui').line(version)))
  local clients = client_module.all()
  for _, client in ipairs(clients) do
    vim.health.ok('runs on ' .. client_module.root_of(client))
  end
  if #clients == 0 then
    vim.health.info('it does not run now; it starts with a file of a project, or by :GlueRun')
  end
  vim.health.info('what the server logs is in ' .. client_module.log_file())

  vim.health.start('glue: what sandboxes need')
  doctor(program)
end

return M
