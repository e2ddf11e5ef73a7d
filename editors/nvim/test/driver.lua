-- Plays a spec: this Neovim has another one in a terminal, types into it as a person would, sees
-- its screen, and asks it what its buffers hold. Run by neovim_test.go.
local t = {}

t.dir = vim.env.GLUE_TEST_DIR
t.nvim = vim.env.GLUE_TEST_NVIM
t.server = vim.env.GLUE_TEST_SERVER
t.plugin = vim.env.GLUE_TEST_PLUGIN
t.runtime = vim.env.GLUE_TEST_RUNTIME
t.version = vim.env.GLUE_TEST_VERSION
local patience = tonumber(vim.env.GLUE_TEST_PATIENCE) * 1000
local deadline = vim.uv.now() + tonumber(vim.env.GLUE_TEST_LIMIT) * 1000

vim.o.columns, vim.o.lines = 120, 44

---@param message string
local function fail(message)
  error(message, 0)
end

function t.eq(found, wanted, what)
  if not vim.deep_equal(found, wanted) then
    fail(('%s: found %s, wanted %s'):format(what, vim.inspect(found), vim.inspect(wanted)))
  end
end

function t.has(text, part, what)
  if type(text) == 'table' then
    text = table.concat(text, '\n')
  end
  if not text:find(part, 1, true) then
    fail(('%s: no %q in\n%s'):format(what, part, text))
  end
end

function t.lacks(text, part, what)
  if type(text) == 'table' then
    text = table.concat(text, '\n')
  end
  if text:find(part, 1, true) then
    fail(('%s: %q is in\n%s'):format(what, part, text))
  end
end

---Waits until a function gives something true; its last answer is in the failure.
function t.wait(what, try, explain)
  local got
  vim.uv.update_time()
  local met = vim.wait(math.max(math.min(patience, deadline - vim.uv.now()), 0), function()
    got = try()
    return got
  end, 20)
  if not met then
    fail(('waited in vain for %s%s'):format(what, explain and '\n' .. explain() or ''))
  end
  return got
end

function t.path(name)
  return t.dir .. '/' .. name
end

function t.write(name, text, mode)
  local path = name:sub(1, 1) == '/' and name or t.path(name)
  vim.fn.mkdir(vim.fs.dirname(path), 'p')
  local file = assert(io.open(path, 'wb'))
  file:write(text)
  file:close()
  if mode then
    vim.uv.fs_chmod(path, mode)
  end
  return path
end

---A file's bytes, nil where there is none.
function t.read(name)
  local path = name:sub(1, 1) == '/' and name or t.path(name)
  local file = io.open(path, 'rb')
  if not file then
    return nil
  end
  local text = file:read('*a')
  file:close()
  return text
end

function t.git(folder, ...)
  local result = vim
    .system({ 'git', '-c', 'user.name=test', '-c', 'user.email=test@example.com', ... }, {
      cwd = t.path(folder),
      env = { GIT_CONFIG_GLOBAL = '/dev/null', GIT_CONFIG_NOSYSTEM = '1' },
    })
    :wait()
  if result.code ~= 0 then
    fail('git ' .. table.concat({ ... }, ' ') .. ': ' .. result.stderr)
  end
  return result.stdout
end

---Makes a repository with one commit of these files.
function t.repository(folder, files)
  for name, text in pairs(files) do
    t.write(folder .. '/' .. name, text)
  end
  t.git(folder, 'init', '-q', '-b', 'main')
  t.git(folder, 'add', '-A')
  t.git(folder, 'commit', '-q', '-m', 'one')
end

---@class test.Editor
local Editor = {}
Editor.__index = Editor
local editors = {}

---Starts an editor as from a shell. Options: args, cwd (below the test's folder), setup (what
---stands between the braces of setup), init (more Lua), env.
function t.start(options)
  local number = #editors + 1
  local self = setmetatable({}, Editor)
  local init = t.write(
    ('init%d.lua'):format(number),
    table.concat({
      'vim.opt.runtimepath:prepend(' .. vim.inspect(t.plugin) .. ')',
      'vim.o.swapfile = false',
      'vim.o.shadafile = "NONE"',
      'vim.o.updatetime = 100',
      options.start
        or ('require("glue").setup{ cmd = { %q }, %s }'):format(t.server, options.setup or ''),
      options.init or '',
    }, '\n')
  )
  local socket = t.path(('socket%d'):format(number))
  os.remove(socket)
  local env = vim.tbl_extend('force', {
    TERM = 'xterm-256color',
    XDG_CONFIG_HOME = t.path('xdg/config'),
    XDG_DATA_HOME = t.path('xdg/data'),
    XDG_STATE_HOME = t.path('xdg/state' .. number),
    XDG_CACHE_HOME = t.path('xdg/cache'),
    VIMRUNTIME = '',
    VIM = '',
    NVIM = '',
    LANG = 'C.UTF-8',
  }, options.env or {})
  vim.cmd('enew')
  self.screen_buf = vim.api.nvim_get_current_buf()
  local args =
    { 'env', '-u', 'VIMRUNTIME', '-u', 'VIM', '-u', 'NVIM', t.nvim, '-u', init, '--listen', socket }
  vim.list_extend(args, options.args or {})
  self.job = vim.fn.jobstart(args, {
    term = true,
    cwd = t.path(options.cwd or '.'),
    env = env,
    on_exit = function(_, code)
      self.code = code
    end,
  })
  editors[number] = self
  self.channel = t.wait('Neovim to listen', function()
    local ok, channel = pcall(vim.fn.sockconnect, 'pipe', socket, { rpc = true })
    return ok and channel ~= 0 and channel
  end, function()
    return self:screen()
  end)
  self.back = vim.rpcrequest(self.channel, 'nvim_get_api_info')[1]
  self:wait('Neovim to have started', [[return vim.v.vim_did_enter == 1]])
  return self
end

function Editor:screen()
  local lines = {}
  for _, line in ipairs(vim.api.nvim_buf_get_lines(self.screen_buf, 0, -1, false)) do
    line = line:gsub('%s+$', '')
    if line ~= '' and line ~= '~' then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, '\n')
end

---Types keys; <CR> and the like are replaced.
function Editor:type(keys)
  vim.fn.chansend(self.job, vim.api.nvim_replace_termcodes(keys, true, true, true))
end

---Types a command line.
function Editor:command(text)
  self:free()
  vim.fn.chansend(self.job, '\27')
  self:free()
  t.wait('normal mode', function()
    return not self.code and vim.rpcrequest(self.channel, 'nvim_get_mode').mode:sub(1, 1) ~= 't'
  end, function()
    return self:screen()
  end)
  vim.fn.chansend(self.job, ':' .. text .. '\r')
end

---Waits until no message and no question is in the way.
function Editor:free()
  t.wait('the editor to be free', function()
    local mode = self:dismiss()
    return mode:sub(1, 1) ~= 'r'
  end, function()
    return self:screen()
  end)
end

local answers = {}
function GlueTestAnswer(number, ok, result)
  answers[number] = { ok, result }
end

local answered = [[
  local number, code, back, args = ...
  local ok, result = pcall(assert(loadstring(code)), unpack(args))
  vim.rpcnotify(back, 'nvim_exec_lua', 'GlueTestAnswer(...)', { number, ok, result })
]]
local asked = 0

---Runs Lua in the editor. A request would never come back if a prompt came before it.
function Editor:lua(code, ...)
  asked = asked + 1
  local number = asked
  local args = { number, code, self.back, { ... } }
  local since
  t.wait('the editor to answer', function()
    if not answers[number] then
      self:dismiss()
    end
    -- A <C-c> that was typed before may have interrupted it.
    if not since or vim.uv.now() - since > 5000 then
      since = vim.uv.now()
      vim.rpcnotify(self.channel, 'nvim_exec_lua', answered, args)
    end
    return answers[number]
  end, function()
    return self:screen()
  end)
  local ok, result = unpack(answers[number])
  if not ok then
    fail(result)
  end
  return result
end

---Presses <Enter> where a message is too long for its line.
function Editor:dismiss()
  local mode = vim.rpcrequest(self.channel, 'nvim_get_mode').mode
  if mode == 'r' or mode == 'rm' then
    vim.fn.chansend(self.job, '\r')
  end
  return mode
end

function Editor:wait(what, code, ...)
  local args = { ... }
  return t.wait(what, function()
    if self:dismiss() == 'r?' then
      return false
    end
    local got = self:lua(code, unpack(args))
    return got ~= vim.NIL and got
  end, function()
    return self:screen()
  end)
end

function Editor:sees(text, what)
  t.wait(what or ('%q on the screen'):format(text), function()
    return self:screen():find(text, 1, true) ~= nil
  end, function()
    return self:screen()
  end)
end

---Answers a question by its key, once it is on the screen.
function Editor:answer(question, key)
  self:sees(question)
  t.wait('the question to wait for a key', function()
    return vim.rpcrequest(self.channel, 'nvim_get_mode').mode == 'r?'
  end, function()
    return self:screen()
  end)
  vim.fn.chansend(self.job, key)
end

---The lines of the buffer whose name ends so; nil where there is none.
function Editor:lines(name)
  local lines = self:lua(
    [[
    local name = ...
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      local full = vim.api.nvim_buf_get_name(buf)
      if vim.api.nvim_buf_is_loaded(buf) and full:sub(-#name) == name then
        return vim.api.nvim_buf_get_lines(buf, 0, -1, false)
      end
    end
  ]],
    name
  )
  return lines ~= vim.NIL and lines or nil
end

---Waits until the newest output buffer has a line with that text, and gives all its lines.
function Editor:output(text)
  return self:wait(
    ('output with %q'):format(text),
    [[
    local text = ...
    for _, buf in ipairs(vim.fn.reverse(vim.api.nvim_list_bufs())) do
      if vim.api.nvim_buf_get_name(buf):find('glue://output', 1, true) then
        local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
        for _, line in ipairs(lines) do
          if line:find(text, 1, true) then
            return lines
          end
        end
        return false
      end
    end
    return false
  ]],
    text
  )
end

---Waits for a message.
function Editor:told(text)
  return self:wait(
    ('the message %q'):format(text),
    [[
    local all = vim.fn.execute('messages')
    return all:find(..., 1, true) and all or false
  ]],
    text
  )
end

function Editor:forget_messages()
  self:lua([[vim.cmd('messages clear')]])
end

---The process of the server that this editor started.
function Editor:server_pid()
  return self:wait(
    'a server',
    [[
    for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.getpid())) do
      local process = vim.api.nvim_get_proc(pid)
      if process and process.name == 'glue-lsp' then
        return pid
      end
    end
  ]]
  )
end

---Waits until the server was greeted.
function Editor:ready()
  self:wait(
    'the server',
    [[
    local client = require('glue.client').all()[1]
    return client and client.initialized or false
  ]]
  )
end

---Ends the editor without a question.
function Editor:quit()
  if self.code then
    return
  end
  self:free()
  self:lua([[require('glue.config').options.ask_on_exit = false]])
  self:command('qall!')
  self:ended()
end

function Editor:ended()
  t.wait('Neovim to end', function()
    return self.code
  end, function()
    return self:screen()
  end)
end

local ok, err = xpcall(function()
  assert(loadfile(vim.env.GLUE_TEST_SPEC))(t)
  for _, editor in ipairs(editors) do
    editor:quit()
  end
end, function(message)
  return type(message) == 'string' and message .. '\n' .. debug.traceback('', 2)
    or vim.inspect(message)
end)
if not ok then
  io.stderr:write(err .. '\n')
  for number, editor in ipairs(editors) do
    deadline = vim.uv.now() + 3000
    local fine, messages = pcall(function()
      return editor:lua([[
        local pending = {}
        for _, client in ipairs(vim.lsp.get_clients()) do
          for _, request in pairs(client.requests) do
            pending[#pending + 1] = request.type .. ' ' .. request.method
          end
        end
        return vim.fn.execute('messages') .. '\npending: ' .. table.concat(pending, ', ')
      ]])
    end)
    io.stderr:write(
      ('--- screen of editor %d\n%s\n--- its messages %s\n'):format(
        number,
        editor:screen(),
        fine and messages or ''
      )
    )
    vim.fn.jobstop(editor.job)
  end
  vim.cmd('cquit 1')
end
vim.cmd('qall!')
