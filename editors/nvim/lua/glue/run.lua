---Runs commands in the sandbox, with their output in a buffer.
local async = require('glue.async')
local client_module = require('glue.client')
local locations = require('glue.locations')
local output_module = require('glue.output')
local sessions = require('glue.sessions')
local streams = require('glue.streams')
local ui = require('glue.ui')

local M = {}

---@class glue.What
---@field command? string a shell command
---@field cwd? string
---@field run? { uri: string, name?: string, range?: table } what a lens runs

---@class glue.Run
---@field id string the command's name on the server
---@field client_id integer
---@field root string the client's folder
---@field what glue.What
---@field output glue.Output
---@field received integer bytes that came so far
---@field cancel? fun() ends it
---@field over boolean
---@field detached boolean its server ended, and it may go on

---@type glue.Run[]
local running = {}
---@type glue.What?
M.last = nil

---@param what glue.What
local function title_of(what)
  if what.command then
    return what.command
  end
  local run = what.run or {}
  local file = vim.fs.basename(vim.uri_to_fname(run.uri))
  if run.name then
    return run.name .. ' in ' .. file
  end
  return run.range and 'selection of ' .. file or file
end

---What runs at the moment.
function M.running()
  return vim.tbl_filter(function(run)
    return not run.over
  end, running)
end

---@param result table an ExecResult
local function outcome(result)
  local seconds = ('%.1f s'):format(result.durationMs / 1000)
  if result.timedOut then
    return 'timed out after ' .. seconds, false
  elseif result.signal then
    return ('ended by %s after %s'):format(result.signal, seconds), false
  elseif result.exitCode ~= 0 then
    return ('ended with status %d after %s'):format(result.exitCode, seconds), false
  end
  return 'done after ' .. seconds, true
end

---@param run glue.Run
local function finish(run, state)
  run.over = true
  streams.remove(run.id)
  run.output:finish(state)
  for i, one in ipairs(running) do
    if one == run then
      table.remove(running, i)
      break
    end
  end
end

---Tells how a command ended, and what it changed once that is safe.
---@param run glue.Run
---@param result table an ExecResult
---@param session glue.Session
local function report(run, result, session)
  local text, good = outcome(result)
  local title = ui.line(title_of(run.what))
  run.output:note(text)
  finish(run, text)
  local found = run.collector and run.collector:fill('glue: ' .. title) or 0
  -- One line: a message that is longer has to be dismissed.
  local parts = { ('%s: %s'):format(ui.short(title, 20), text) }
  if found > 0 then
    parts[#parts + 1] = ui.count(found, 'place') .. ' in :copen'
  end
  local info = sessions.wait(session.id, function(info)
    return info.checkpoint.seq >= result.checkpoint
  end)
  if info and info.checkpoint.changedFiles > 0 then
    parts[#parts + 1] = ui.count(info.checkpoint.changedFiles, 'changed file') .. ': :GlueReturn'
  end
  if good then
    ui.info(table.concat(parts, ', '))
  else
    ui.warn(table.concat(parts, ', '))
  end
end

---@param run glue.Run
---@param err glue.Failure
local function failed(run, err)
  if run.cancelled or err.code == -32800 then
    run.output:note('cancelled')
    finish(run, 'cancelled')
    return
  end
  if err.data and err.data.kind == 'serverEnded' then
    run.output:note(err.message)
    finish(run, 'ended with glue-lsp')
    return
  end
  if err.data and err.data.kind == 'serverGone' then
    if run.started then
      run.detached = true
      run.output:note('glue-lsp ended; the command may go on in its sandbox')
      run.output:set_state('waiting for glue-lsp')
      return
    end
  end
  run.output:note(err.message)
  finish(run, 'failed')
  client_module.tell(title_of(run.what), err)
end

---@param run glue.Run
local function listen(run, session, client)
  run.received = run.received or 0
  local near = run.what.run and vim.fs.dirname(vim.uri_to_fname(run.what.run.uri))
  local cwd = run.what.cwd and vim.fs.normalize(session.cwd .. '/' .. run.what.cwd) or session.cwd
  run.collector = run.collector
    or locations.collector({
      root = session.root,
      cwd = cwd,
      host = sessions.host_root(session, client),
      near = near,
    })
  run.output.lines_of = function(lines)
    run.collector:add(lines)
  end
  run.output.shown = function(bytes)
    streams.shown(run.id, bytes)
  end
  streams.add(run.id, {
    client_id = client.id,
    take = function(bytes)
      -- What was done before it could start is over.
      if run.received == 0 and not run.cancelled then
        run.output:set_state('running')
      end
      run.received = run.received + #bytes
      run.output:push(bytes)
    end,
  })
end

---Runs something; its output is shown at the bottom while it comes.
---@param buf integer the buffer that it is about
---@param what glue.What
function M.start(buf, what)
  buf = buf == 0 and vim.api.nvim_get_current_buf() or buf
  M.last = what
  async.run(function()
    local client = client_module.ensure(buf)
    if not client then
      return
    end
    local output = output_module.new(title_of(what))
    local run = {
      id = streams.new_id(),
      client_id = client.id,
      root = client_module.root_of(client),
      what = what,
      output = output,
      over = false,
      detached = false,
      started = false,
    }
    running[#running + 1] = run
    M.keys(run)
    output:set_state('opening the sandbox')
    output:show()
    local token = run.id
    local follow = vim.api.nvim_create_autocmd('LspProgress', {
      callback = function(args)
        local params = args.data and (args.data.params or args.data.result) or {}
        if params.token == token and params.value and params.value.message and not run.over then
          output:set_state(params.value.message)
        end
      end,
    })
    local function sent(cancel)
      run.cancel = cancel
    end
    local session = sessions.open(client, sent, token)
    if not session or run.cancelled then
      vim.api.nvim_del_autocmd(follow)
      finish(run, run.cancelled and 'cancelled' or 'no sandbox')
      return
    end
    output:set_state('running')
    output:start_clock()
    listen(run, session, client)
    run.started = true
    local result, err = client_module.request(client, 'glue/exec', {
      session = session.id,
      execId = run.id,
      command = what.command,
      run = what.run,
      cwd = what.cwd,
      stream = true,
      windowBytes = streams.window,
      workDoneToken = token,
    }, sent)
    vim.api.nvim_del_autocmd(follow)
    if result then
      report(run, result, session)
    else
      failed(run, err)
    end
  end)
end

---A server ended: what ran under it is not known to have ended.
---@param client_id integer
function M.lost(client_id)
  for _, run in ipairs(running) do
    if run.client_id == client_id then
      run.cancel = nil
    end
  end
end

---Commands of a folder whose server ended without ending them.
---@param root string
function M.detached(root)
  return vim.tbl_filter(function(run)
    return run.detached and not run.over and run.root == root
  end, running)
end

---The server of a folder is there again: output of what still runs goes on where it stopped.
---@param client vim.lsp.Client
---@param session? glue.Session nil when the one that they ran in could not be taken up
function M.regain(client, session)
  for _, run in ipairs(M.detached(client_module.root_of(client))) do
    async.run(function()
      run.detached = false
      if not session then
        finish(run, 'its sandbox is gone')
        return
      end
      run.client_id = client.id
      listen(run, session, client)
      run.output:set_state('running')
      run.output:start_clock()
      local result, err = client_module.request(client, 'glue/exec/attach', {
        execId = run.id,
        fromByte = run.received,
        windowBytes = streams.window,
      }, function()
        -- Cancelling an attachment would only stop looking.
        run.cancel = function()
          async.run(function()
            client_module.request(
              client,
              'glue/exec/signal',
              { execId = run.id, signal = 'SIGTERM' }
            )
          end)
        end
      end)
      if result then
        report(run, result, session)
      elseif err.data and err.data.kind == 'noSuchExec' then
        run.output:note('the command ended with its sandbox')
        finish(run, 'ended with its sandbox')
      else
        failed(run, err)
      end
    end)
  end
end

---Ends a command.
---@param run glue.Run
function M.cancel(run)
  if run.over then
    return
  end
  if run.cancel then
    run.cancelled = not run.detached
    run.output:set_state('cancelling')
    run.cancel()
  elseif run.detached then
    run.output:note('not waited for any more')
    finish(run, 'not waited for any more')
  end
end

---Ends the command whose output the current buffer shows, else the only one that runs, else the
---one that the person chooses.
---@param all boolean
function M.cancel_here(all)
  local runs = M.running()
  if #runs == 0 then
    ui.info('nothing is running')
    return
  end
  if all then
    for _, run in ipairs(runs) do
      M.cancel(run)
    end
    return
  end
  local here = output_module.of(vim.api.nvim_get_current_buf())
  for _, run in ipairs(runs) do
    if run.output == here or #runs == 1 then
      M.cancel(run)
      return
    end
  end
  async.run(function()
    local run = async.select(runs, 'Which command shall end?', function(run)
      return ui.line(title_of(run.what))
    end)
    if run then
      M.cancel(run)
    end
  end)
end

---The keys of an output buffer.
---@param run glue.Run
function M.keys(run)
  local buf = run.output.buf
  local function map(keys, doc, action)
    vim.keymap.set('n', keys, action, { buffer = buf, desc = doc, nowait = true })
  end
  map('<C-c>', 'End the command', function()
    M.cancel(run)
  end)
  map('q', 'Close the window', '<Cmd>close<CR>')
  map('<CR>', 'Go to the file of this line', function()
    local name, lnum, col = locations.parse(vim.api.nvim_get_current_line())
    local file = name and run.collector and locations.file(name, run.collector.places)
    if not file then
      ui.info('this line names no file of the project')
      return
    end
    local beside = vim.fn.win_getid(vim.fn.winnr('#'))
    if beside ~= 0 and beside ~= vim.api.nvim_get_current_win() then
      vim.api.nvim_set_current_win(beside)
    else
      vim.cmd('aboveleft split')
    end
    vim.cmd.edit(vim.fn.fnameescape(file))
    local line = math.min(lnum --[[@as integer]], vim.api.nvim_buf_line_count(0))
    vim.api.nvim_win_set_cursor(0, { math.max(line, 1), math.max((col or 1) - 1, 0) })
  end)
  run.output.on_wipe = function()
    M.cancel(run)
  end
  run.output.on_interrupt = function()
    M.cancel(run)
  end
end

return M
