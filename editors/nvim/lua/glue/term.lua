---:GlueTerm: a terminal in the sandbox.
local async = require('glue.async')
local client_module = require('glue.client')
local escapes = require('glue.escapes')
local sessions = require('glue.sessions')
local streams = require('glue.streams')
local ui = require('glue.ui')

local M = {}

local interval = 16 -- milliseconds between two looks
local per_look = 16 * 1024
-- What is on its way is still shown after Ctrl-C, and a terminal shows slowly.
local window = 64 * 1024

---@class glue.Term
---@field id string
---@field buf integer
---@field channel integer
---@field client_id integer
---@field root string the client's folder
---@field over boolean
---@field detached boolean its server crashed, and it may go on
---@field received integer bytes that came so far
---@field take fun(bytes: string)
---@field started? boolean
---@field cancel? fun()
---@field type fun(typed: string)
---@field flush fun()
---@field rows integer
---@field cols integer

---@type table<integer, glue.Term>
local by_buf = {}
---@type glue.Term[] whose buffer was wiped out while no server was there to end them
local orphans = {}

-- A login shell where there is one, as people have it.
local shell = 'if command -v bash >/dev/null 2>&1; then exec bash -i; else exec sh -i; fi'

local function size_of(buf)
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    local info = vim.fn.getwininfo(win)[1]
    return math.max(info.height, 1), math.max(info.width - info.textoff, 1)
  end
end

---@param term glue.Term
local function client_of(term)
  return not term.over and vim.lsp.get_client_by_id(term.client_id) or nil
end

---@param term glue.Term
---@param text string
local function say(term, text)
  if vim.api.nvim_buf_is_valid(term.buf) then
    vim.api.nvim_chan_send(term.channel, '\r\n\27[0m[' .. ui.line(text) .. ']\r\n')
  end
end

---@param term glue.Term
local function pump(term)
  local filter = escapes.filter(true)
  local feed = require('glue.pace').new(per_look, interval, function(bytes)
    local ok, err = pcall(function()
      if vim.api.nvim_buf_is_valid(term.buf) then
        vim.api.nvim_chan_send(term.channel, filter:feed(bytes))
      end
    end)
    streams.shown(term.id, #bytes)
    if not ok then
      error(err, 0)
    end
  end, function()
    -- Neovim took it for its own, but it was typed into the terminal.
    if vim.api.nvim_get_current_buf() == term.buf then
      term.type('\3')
    end
  end)
  term.flush = feed.flush
  return feed.push
end

---Sends something about a terminal's command. The command may not be there yet: keys are typed
---as soon as there is a window.
---@param term glue.Term
---@param method string
---@param params table
local function request(term, method, params)
  params.execId = term.id
  for _ = 1, 400 do
    local client = client_of(term)
    if not client then
      return
    end
    local _, err = client_module.request(client, method, params)
    if not (err and err.data and err.data.kind == 'noSuchExec') then
      return
    end
    async.await(function(callback)
      vim.defer_fn(callback, 25)
    end)
  end
end

---@param term glue.Term
local function resize(term)
  local rows, cols = size_of(term.buf)
  if not rows or (rows == term.rows and cols == term.cols) then
    return
  end
  term.rows, term.cols = rows, cols
  async.run(function()
    request(term, 'glue/exec/resize', { rows = rows, cols = cols })
  end)
end

---Gives what sends typed bytes.
---@param term glue.Term
---@return fun(typed: string)
local function typist(term)
  -- One request after the other, so that keys keep their order.
  local queue, busy = {}, false
  return function(typed)
    queue[#queue + 1] = typed
    if busy then
      return
    end
    busy = true
    async.run(function()
      while #queue > 0 do
        local data, encoding = streams.payload(table.concat(queue))
        queue = {}
        request(term, 'glue/exec/stdin', { data = data, encoding = encoding })
      end
      busy = false
    end)
  end
end

---@param term glue.Term
---@param text string
local function finish(term, text)
  if term.over then
    return
  end
  if term.flush then
    term.flush()
  end
  term.over = true
  streams.remove(term.id)
  say(term, text)
  if vim.api.nvim_get_current_buf() == term.buf and vim.api.nvim_get_mode().mode == 't' then
    vim.cmd.stopinsert()
  end
end

---A server ended. Its terminals ended with it if it was told to, and may go on if it crashed.
---@param client_id integer
---@param told boolean
function M.lost(client_id, told)
  for _, term in pairs(by_buf) do
    if term.client_id == client_id and not term.over then
      if told or not term.started then
        finish(term, 'glue-lsp ended; :GlueTerm opens another terminal')
      else
        term.flush() -- later, it would be acknowledged to a server that did not send it
        streams.remove(term.id)
        term.detached, term.cancel = true, nil
        say(term, 'glue-lsp ended; this goes on when it is there again')
      end
    end
  end
end

---Terminals of a folder whose server ended without ending them.
---@param root string
function M.detached(root)
  return vim.tbl_filter(function(term)
    return term.detached and not term.over and term.root == root
  end, vim.list_extend(vim.tbl_values(by_buf), orphans))
end

---@param term glue.Term
local function listen(term)
  streams.add(term.id, {
    client_id = term.client_id,
    take = function(bytes)
      term.received = term.received + #bytes
      term.take(bytes)
    end,
  })
end

---Says how a terminal's command ended, and what it changed once that is safe. Waits.
---@param term glue.Term
---@param session glue.Session
---@param result? table an ExecResult
---@param err? glue.Failure
local function report(term, session, result, err)
  if not result then
    local kind = err and err.data and err.data.kind
    if not term.over and kind ~= 'serverGone' then
      finish(term, kind == 'noSuchExec' and 'ended with its sandbox' or err.message)
    end
    return
  end
  finish(
    term,
    result.signal and 'ended by ' .. result.signal or 'ended with status ' .. result.exitCode
  )
  local info = sessions.wait(session.id, function(info)
    return info.checkpoint.seq >= result.checkpoint
  end)
  if info and sessions.has_changes(info) then
    ui.info(ui.count(info.checkpoint.changedFiles, 'changed file') .. ': :GlueDiff, :GlueReturn')
  end
end

---@param client vim.lsp.Client
---@param term glue.Term
local function hang_up(client, term)
  client_module.request(client, 'glue/exec/signal', { execId = term.id, signal = 'SIGHUP' })
end

---The server of a folder is there again: its terminals go on where they stopped.
---@param client vim.lsp.Client
---@param session? glue.Session
function M.regain(client, session)
  for _, term in ipairs(M.detached(client_module.root_of(client))) do
    term.detached, term.client_id = false, client.id
    async.run(function()
      if not session then
        finish(term, 'its sandbox is gone')
      elseif not by_buf[term.buf] then
        term.over = true
        hang_up(client, term)
      else
        listen(term)
        local result, err = client_module.request(client, 'glue/exec/attach', {
          execId = term.id,
          fromByte = term.received,
          windowBytes = window,
        }, function()
          -- Cancelling an attachment would only stop looking.
          term.cancel = function()
            async.run(function()
              hang_up(client, term)
            end)
          end
        end)
        report(term, session, result, err)
      end
    end)
  end
  orphans = vim.tbl_filter(function(term)
    return term.detached
  end, orphans)
end

---Terminals in which something may run.
function M.open_count()
  local n = 0
  for _, term in pairs(by_buf) do
    n = n + (term.over and 0 or 1)
  end
  return n
end

---@param term glue.Term
local function watch(term)
  local buf = term.buf
  local group = vim.api.nvim_create_augroup('glue.term.' .. buf, {})
  vim.api.nvim_create_autocmd({ 'WinResized', 'VimResized', 'BufWinEnter', 'WinEnter' }, {
    group = group,
    callback = function()
      vim.schedule(function()
        if vim.api.nvim_buf_is_valid(buf) then
          resize(term)
        end
      end)
    end,
  })
  vim.api.nvim_create_autocmd('BufWipeout', {
    group = group,
    buffer = buf,
    callback = function()
      by_buf[buf] = nil
      if term.detached then
        orphans[#orphans + 1] = term
      elseif not term.over then
        term.over = true
        streams.remove(term.id)
        if term.cancel then
          term.cancel()
        end
      end
      vim.schedule(function()
        pcall(vim.api.nvim_del_augroup_by_id, group)
      end)
    end,
  })
end

---Opens a terminal in which a command runs, by default a shell.
---@param buf integer
---@param command? string
function M.open(buf, command)
  async.run(function()
    local client = client_module.ensure(buf)
    if not client then
      return
    end
    local session = sessions.open(client, nil, streams.new_id())
    if not session then
      return
    end
    vim.cmd('keepalt botright split')
    local name = ui.line(command or 'shell'):sub(1, 40)
    local term = {
      id = streams.new_id(),
      client_id = client.id,
      root = client_module.root_of(client),
      over = false,
      detached = false,
      received = 0,
    }
    term.buf = ui.scratch('glue://terminal/' .. name)
    vim.bo[term.buf].undolevels = -123456 -- a terminal's own
    local win = vim.api.nvim_get_current_win()
    vim.api.nvim_win_set_buf(win, term.buf)
    for option, value in pairs({
      number = false,
      relativenumber = false,
      signcolumn = 'no',
      foldcolumn = '0',
      spell = false,
      list = false,
      wrap = false,
    }) do
      vim.api.nvim_set_option_value(option, value, { win = win, scope = 'local' })
    end
    local bar = (' %s in the sandbox (%s)'):format(command or 'shell', session.isolation)
    vim.api.nvim_set_option_value('winbar', ui.literal(bar), { win = win, scope = 'local' })
    vim.bo[term.buf].bufhidden = 'hide'
    term.type = typist(term)
    term.channel = vim.api.nvim_open_term(term.buf, {
      force_crlf = false,
      on_input = function(_, _, _, typed)
        term.type(typed)
      end,
    })
    by_buf[term.buf] = term
    term.rows, term.cols = size_of(term.buf)
    watch(term)
    term.take = pump(term)
    listen(term)
    vim.cmd.startinsert()
    local result, err = client_module.request(client, 'glue/exec', {
      session = session.id,
      execId = term.id,
      command = command or shell,
      env = { TERM = 'xterm-256color', COLORTERM = 'truecolor' },
      keepStdin = true,
      pty = { rows = term.rows, cols = term.cols },
      stream = true,
      windowBytes = window,
    }, function(cancel)
      term.cancel, term.started = cancel, true
    end)
    report(term, session, result, err)
  end)
end

return M
