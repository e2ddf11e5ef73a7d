---The commands that people type.
local ui = require('glue.ui')

local M = {}

---Runs what a code action of the server would run here: the selection, the test at the cursor, or
---the file. Where there is nothing of that, the command that ran last.
---@param buf integer
---@param range? { first: integer, last: integer } lines that were given
local function run_here(buf, range)
  local async = require('glue.async')
  local client_module = require('glue.client')
  local run = require('glue.run')
  -- Before anything waits: the cursor is where the person was.
  local row = vim.api.nvim_win_get_cursor(0)[1] - 1
  async.run(function()
    local client = client_module.ensure(buf)
    if not client then
      return
    end
    local file = require('glue.folders').file_of(buf)
    local uri = file and vim.uri_from_bufnr(buf)
    if range then
      if not uri then
        ui.error('only lines of a file can be run; this buffer is none')
        return
      end
      local stop = { line = range.last, character = 0 }
      if range.last >= vim.api.nvim_buf_line_count(buf) then
        local line = vim.api.nvim_buf_get_lines(buf, range.last - 1, range.last, false)[1] or ''
        stop = { line = range.last - 1, character = M.width(line, client.offset_encoding) }
      end
      run.start(buf, {
        run = {
          uri = uri,
          range = { start = { line = range.first - 1, character = 0 }, ['end'] = stop },
        },
      })
      return
    end
    local actions = {}
    if uri then
      local at = { line = row, character = 0 }
      actions = client_module.request(client, 'textDocument/codeAction', {
        textDocument = { uri = uri },
        range = { start = at, ['end'] = at },
        context = { diagnostics = {}, only = { 'glue.run' } },
      }) or {}
    end
    for _, action in ipairs(actions) do
      local command = type(action.command) == 'table' and action.command or action
      if command.command == 'glue.runTest' or command.command == 'glue.runFile' then
        run.start(buf, { run = command.arguments[1] })
        return
      end
    end
    if run.last then
      run.start(buf, run.last)
      return
    end
    ui.info('nothing here is known to be run. Name a command: :GlueRun make test')
  end)
end

---The length of a line in the units of the client's positions.
---@param line string
---@param encoding string
function M.width(line, encoding)
  if encoding == 'utf-8' then
    return #line
  end
  local utf32, utf16 = vim.str_utfindex(line)
  return encoding == 'utf-16' and (utf16 or utf32) or utf32
end

local function changed_paths(lead)
  return vim.tbl_filter(function(path)
    return vim.startswith(path, lead)
  end, require('glue.changes').completions)
end

-- Where several can be named, white space stands between them.
local function several_paths(lead)
  local escaped = vim.tbl_map(function(path)
    return (path:gsub('[\\%s]', '\\%0'))
  end, require('glue.changes').completions)
  return vim.tbl_filter(function(path)
    return vim.startswith(path, lead)
  end, escaped)
end

---@param name string
---@param options table
---@param action fun(buf: integer, args: table)
local function command(name, options, action)
  vim.api.nvim_create_user_command(name, function(args)
    action(vim.api.nvim_get_current_buf(), args)
  end, options)
end

function M.create()
  command('GlueRun', {
    nargs = '*',
    range = true,
    complete = 'shellcmd',
    desc = 'Run a command, the given lines, or what is at the cursor, in the sandbox',
  }, function(buf, args)
    if args.args ~= '' then
      require('glue.run').start(buf, { command = args.args })
    elseif args.range > 0 then
      run_here(buf, { first = args.line1, last = args.line2 })
    else
      run_here(buf)
    end
  end)
  command('GlueTerm', {
    nargs = '*',
    complete = 'shellcmd',
    desc = 'Open a terminal in the sandbox',
  }, function(buf, args)
    require('glue.term').open(buf, args.args ~= '' and args.args or nil)
  end)
  command('GlueDiff', {
    nargs = '?',
    complete = changed_paths,
    desc = 'List what the sandbox changed, or show the change of a file',
  }, function(buf, args)
    require('glue.changes').command(buf, args.args ~= '' and args.args or nil)
  end)
  command('GlueReturn', {
    nargs = '*',
    bang = true,
    complete = several_paths,
    desc = 'Bring changes of the sandbox back',
  }, function(buf, args)
    require('glue.returning').start(buf, { typed = args.fargs, quick = args.bang })
  end)
  command('GlueConflicts', {
    nargs = '?',
    complete = function(lead)
      return vim.tbl_filter(function(word)
        return vim.startswith(word, lead)
      end, { 'mine', 'theirs' })
    end,
    desc = 'Settle what was changed on both sides',
  }, function(buf, args)
    require('glue.conflicts').command(buf, args.args)
  end)
  command('GlueUndo', { desc = 'Take the last return back' }, function(buf)
    require('glue.returning').undo(buf)
  end)
  command('GlueDiscard', {
    nargs = '*',
    bang = true,
    complete = several_paths,
    desc = 'Throw changes of the sandbox away',
  }, function(buf, args)
    require('glue.returning').discard(buf, { typed = args.fargs, quick = args.bang })
  end)
  command('GlueCancel', { bang = true, desc = 'End the command that runs' }, function(_, args)
    require('glue.run').cancel_here(args.bang)
  end)
  command('GlueSessions', { desc = 'List the sandboxes of this folder' }, function(buf)
    require('glue.sessions_view').show(buf)
  end)
  command('GlueClose', { desc = 'End the sandbox; its changes are kept' }, function(buf)
    require('glue.returning').close(buf)
  end)
  command('GlueRestart', { desc = 'Start glue-lsp again' }, function()
    require('glue.client').restart()
  end)
end

return M
