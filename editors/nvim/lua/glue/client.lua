---The language client: its configuration, its start, and what happens when the server ends.
local config = require('glue.config')
local folders = require('glue.folders')
local ui = require('glue.ui')

local M = {}

local is_011 = vim.fn.has('nvim-0.11') == 1
local group = vim.api.nvim_create_augroup('glue.client', {})

---@type table<integer, boolean> clients that were told to end
local ending = {}
---@type table<integer, boolean> clients whose server is gone
local exited = {}
---@type table<integer, table<integer, fun(err: table)>> per client, who waits for an answer
local waiting = {}
---@type table<string, integer[]> per root, when the server crashed
local crashes = {}

---@type table<string, boolean> roots whose server crashed, and is not started again by itself
local down = {}

---@param why string
---@param kind? string
local function gone(why, kind)
  return { message = why, data = { kind = kind or 'serverGone' } }
end

---Where the server's log goes.
---@return string
function M.log_file()
  local log = vim.lsp.log
  return type(log) == 'table' and log.get_filename and log.get_filename() or vim.lsp.get_log_path()
end

---@class glue.Failure
---@field code? integer
---@field message string
---@field data? { kind?: string, hint?: string, session?: string, path?: string }

---Sends a request and waits for its answer, also for the one that a server which ended owes.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param sent? fun(cancel: fun()) gets what cancels the request
---@return any result
---@return glue.Failure? err
function M.request(client, method, params, sent)
  return require('glue.async').await(function(callback)
    local id
    local function answer(err, result)
      if id and waiting[client.id] then
        waiting[client.id][id] = nil
      end
      callback(result, err)
    end
    local ok
    if is_011 then
      ok, id = client:request(method, params, answer)
    else
      ok, id = client.request(method, params, answer)
    end
    if not ok or not id then
      callback(nil, gone('glue-lsp is not running; :GlueRestart starts it again'))
      return
    end
    waiting[client.id] = waiting[client.id] or {}
    waiting[client.id][id] = function(err)
      callback(nil, err)
    end
    if sent then
      sent(function()
        if is_011 then
          client:cancel_request(id)
        else
          client.cancel_request(id)
        end
        -- Neovim keeps the answer to a cancelled request to itself.
        answer({ code = -32800, message = 'cancelled' })
      end)
    end
  end)
end

---@param client vim.lsp.Client
---@param method string
---@param params table
function M.notify(client, method, params)
  if is_011 then
    client:notify(method, params)
  else
    client.notify(method, params)
  end
end

---Shows what a request failed by, with what a person can do about it.
---@param what string
---@param err glue.Failure
function M.tell(what, err)
  local hint = err.data and err.data.hint
  ui.error(('%s: %s%s'):format(what, err.message, hint and (' (' .. hint .. ')') or ''))
end

---@param client vim.lsp.Client
local function stopped(client)
  if is_011 then
    return client:is_stopped()
  end
  return client.is_stopped()
end

---All clients of ours that run, those included that were not greeted yet: a second server on one
---folder would get in the way of the first.
---@return vim.lsp.Client[]
function M.all()
  return vim.tbl_filter(function(client)
    return not stopped(client) and not ending[client.id]
  end, vim.lsp.get_clients({ name = 'glue', _uninitialized = true }))
end

---@param client vim.lsp.Client
---@return string
function M.root_of(client)
  local folder = client.workspace_folders and client.workspace_folders[1]
  return vim.fs.normalize(folder and vim.uri_to_fname(folder.uri) or client.config.root_dir or '')
end

---The client whose folder holds a path.
---@param path string
---@return vim.lsp.Client?
local function holder(path)
  local found
  for _, client in ipairs(M.all()) do
    local root = M.root_of(client)
    if folders.is_below(path, root) and (not found or #root > #M.root_of(found)) then
      found = client
    end
  end
  return found
end

---The client for a buffer: of its file, else of the folder that Neovim is in, else the only one.
---@param buf integer
---@return vim.lsp.Client?
function M.get(buf)
  for _, client in ipairs(M.all()) do
    if client.attached_buffers[buf] then
      return client
    end
  end
  local file = folders.file_of(buf)
  if file then
    return holder(file)
  end
  local all = M.all()
  return holder(vim.fs.normalize(vim.fn.getcwd())) or (#all == 1 and all[1] or nil)
end

---Lets the server follow every file of its folder that is loaded: what is unsaved in one is
---part of the tree, whatever kind of file it is.
---@param client vim.lsp.Client
function M.follow_all(client)
  local root = M.root_of(client)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local file = vim.api.nvim_buf_is_loaded(buf) and folders.file_of(buf)
    if file and folders.is_below(file, root) and not client.attached_buffers[buf] then
      vim.lsp.buf_attach_client(buf, client.id)
    end
  end
end

---@param command string[]
---@return string? problem
function M.missing(command)
  if vim.fn.executable(command[1]) == 1 then
    return nil
  end
  local where = command[1]:find('/') and 'there is no program %s' or '%s is not on your PATH'
  return (where .. '. Install it or set the option cmd; :checkhealth glue'):format(command[1])
end

local told_missing = false

---The configuration for vim.lsp.config and vim.lsp.start.
---@return vim.lsp.ClientConfig
function M.config()
  local options = config.options
  return {
    name = 'glue',
    cmd = options.cmd,
    init_options = config.for_server(options.settings),
    -- A command that is typed right after a change must not overtake it.
    flags = { debounce_text_changes = 0, exit_timeout = false },
    handlers = require('glue.handlers').handlers(),
    commands = require('glue.handlers').commands(),
    before_init = require('glue.greeting').before_init,
    on_init = require('glue.greeting').on_init,
    on_exit = M.on_exit,
  }
end

---Starts the server on a folder, or says why not.
---@param root string
---@param quiet? boolean say the same thing only once
---@return vim.lsp.Client?
function M.start(root, quiet)
  local settings = M.config()
  if vim.lsp.config and vim.lsp.config.glue then
    settings = vim.tbl_extend('force', settings, vim.deepcopy(vim.lsp.config.glue))
  end
  settings.root_dir = root
  settings.root_markers = nil
  settings.workspace_folders = { { uri = vim.uri_from_fname(root), name = root } }
  if type(settings.cmd) == 'table' then
    local problem = M.missing(settings.cmd --[[@as string[] ]])
    if problem then
      if not (quiet and told_missing) then
        ui.error(problem)
      end
      told_missing = true
      return nil
    end
  end
  local id
  if is_011 then
    id = vim.lsp.start(settings, {
      attach = false,
      reuse_client = function()
        return false
      end,
    })
  else
    id = vim.lsp.start_client(settings)
  end
  local client = id and vim.lsp.get_client_by_id(id)
  if client then
    down[root] = nil
    M.watch()
    M.follow_all(client)
    require('glue.async').run(function()
      if M.ready(client) then
        require('glue.regain').all(client)
      end
    end)
  end
  return client
end

---Gives the client for a buffer, started if need be, once it has been greeted. Failing is said.
---Waits, so it is called inside of async.run.
---@param buf integer
---@return vim.lsp.Client?
function M.ensure(buf)
  local client = M.get(buf)
  if not client then
    local root, why = folders.for_command(buf)
    if not root then
      ui.error(why --[[@as string]])
      return nil
    end
    client = M.start(root)
  end
  if not client or not M.ready(client) then
    return nil
  end
  M.follow_all(client)
  return client
end

---Waits until a client was greeted; false when it ended instead.
---@param client vim.lsp.Client
function M.ready(client)
  local async = require('glue.async')
  while not client.initialized do
    if stopped(client) or ending[client.id] then
      return false
    end
    async.await(function(callback)
      vim.defer_fn(callback, 10)
    end)
  end
  return not ending[client.id]
end

---@param client vim.lsp.Client
function M.stop(client)
  ending[client.id] = true
  if is_011 then
    client:stop()
  else
    client.stop()
  end
end

---@param at integer[]
---@return boolean
local function too_often(at)
  local now, recent = vim.uv.now(), 0
  for _, time in ipairs(at) do
    recent = recent + (now - time < 180000 and 1 or 0)
  end
  at[#at + 1] = now
  return recent >= 3
end

function M.on_exit(code, signal, client_id)
  local client = vim.lsp.get_client_by_id(client_id)
  local root = client and M.root_of(client)
  local greeted = client and client.initialized
  vim.schedule(function()
    local owed = waiting[client_id] or {}
    waiting[client_id] = nil
    exited[client_id] = true
    local expected = ending[client_id] or vim.v.exiting ~= vim.NIL
    -- A server that is told to end ends its commands; one that crashes does not.
    local err = expected and gone('glue-lsp was ended, and this with it', 'serverEnded')
      or gone('glue-lsp ended while it was at it')
    require('glue.sessions').forget(client_id)
    require('glue.run').lost(client_id)
    require('glue.term').lost(client_id, expected)
    for _, answer in pairs(owed) do
      answer(err)
    end
    if expected then
      return
    end
    ending[client_id] = true
    local how = signal ~= 0 and ('was ended by signal %d'):format(signal)
      or ('ended with status %d'):format(code)
    if not greeted then
      ui.error(
        ('glue-lsp %s before it was ready. Its last words are in %s; :checkhealth glue'):format(
          how,
          M.log_file()
        )
      )
      return
    end
    crashes[root] = crashes[root] or {}
    if not config.options.restart or too_often(crashes[root]) then
      down[root] = true
      ui.error(
        ('glue-lsp %s. What sandboxes changed is kept. :GlueRestart starts it again; its log is %s'):format(
          how,
          M.log_file()
        )
      )
      return
    end
    ui.warn(('glue-lsp %s and is started again; what sandboxes changed is kept'):format(how))
    M.start(root --[[@as string]])
  end)
end

---Starts all servers anew, those included that crashed, or the one of this buffer if there is
---none. What runs in a server that is there ends with it, after a question.
function M.restart()
  local running = #M.all() > 0 and require('glue.leave').running()
  if
    running
    and ui.confirm(
        running .. '.\nWhat they changed is kept. Restart?',
        { '&Cancel', '&Restart' },
        1
      )
      ~= 2
  then
    return
  end
  require('glue.async').run(function()
    local roots = vim.tbl_keys(down)
    for _, client in ipairs(M.all()) do
      roots[#roots + 1] = M.root_of(client)
      M.stop(client)
      require('glue.async').await(function(callback)
        local timer = assert(vim.uv.new_timer())
        local left = 500
        timer:start(0, 20, function()
          left = left - 1
          if left == 0 or exited[client.id] then
            timer:stop()
            timer:close()
            vim.schedule(callback)
          end
        end)
      end)
    end
    if #roots == 0 then
      local client = M.ensure(vim.api.nvim_get_current_buf())
      roots = client and { M.root_of(client) } or {}
    else
      for _, root in ipairs(roots) do
        M.start(root)
      end
    end
    for _, root in ipairs(roots) do
      ui.info('glue-lsp runs on ' .. vim.fn.fnamemodify(root, ':~'))
    end
  end)
end

---Attaches a buffer to the server of its folder; with auto one is started.
---@param buf integer
---@param auto boolean
local function attach(buf, auto)
  local file = folders.file_of(buf)
  if not file or not vim.api.nvim_buf_is_loaded(buf) then
    return
  end
  local client = holder(file)
  if client then
    vim.lsp.buf_attach_client(buf, client.id)
    return
  end
  local root = auto and folders.project_of(buf)
  if root then
    M.start(root, true)
  end
end

local automatic = false

---Follows files that are opened from now on. It makes no difference to call it twice.
---@param auto? boolean start a server for files of projects that have none
function M.watch(auto)
  automatic = automatic or auto or false
  vim.api.nvim_clear_autocmds({ group = group })
  vim.api.nvim_create_autocmd({ 'BufReadPost', 'BufNewFile', 'BufFilePost', 'BufWritePost' }, {
    group = group,
    callback = function(args)
      -- After all others: by then the kind of file is known.
      vim.schedule(function()
        if vim.api.nvim_buf_is_valid(args.buf) then
          attach(args.buf, automatic)
        end
      end)
    end,
  })
  if auto then
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      attach(buf, true)
    end
  end
end

return M
