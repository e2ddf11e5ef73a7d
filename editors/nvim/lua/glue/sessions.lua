---What sessions there are, as the server tells, and which of them a command means.
local client_module = require('glue.client')
local ui = require('glue.ui')
local async = require('glue.async')

local M = {}

---@class glue.Session a SessionInfo of docs/lsp-extensions.md
---@field id string
---@field runtime string
---@field state string
---@field workspaceFolder string
---@field root string
---@field cwd string
---@field isolation string
---@field createdAt string
---@field expiresAt? string
---@field checkpoint { seq: integer, changedFiles: integer, at: string }
---@field execs { execId: string, command: string, state: string }[]

---@type table<string, { info: glue.Session, client_id: integer }>
local known = {}
---@type table<string, boolean> sessions that were offered
local offered = {}
local listeners = {}

local open_states = { opening = true, ready = true, returning = true }

---@param info glue.Session
function M.is_open(info)
  return open_states[info.state] or false
end

local function folder_of(info)
  return vim.fs.normalize(vim.uri_to_fname(info.workspaceFolder))
end

---@param info glue.Session
---@param client vim.lsp.Client
local function is_of(info, client)
  local ok, folder = pcall(folder_of, info)
  if not ok then
    return false
  end
  local root = client_module.root_of(client)
  return folder == root or vim.uv.fs_realpath(folder) == vim.uv.fs_realpath(root)
end

---The folder on the host that the root of a session's tree stands for.
---@param info glue.Session
---@param client vim.lsp.Client
---@return string
function M.host_root(info, client)
  local folder = client_module.root_of(client)
  local sub = info.cwd:sub(#info.root + 1):gsub('^/+', ''):gsub('/+$', '')
  if sub ~= '' and vim.endswith(folder, '/' .. sub) then
    return folder:sub(1, -#sub - 2)
  end
  return folder
end

---Tells once, by a line that disturbs nobody, that an earlier session has changes which did not
---come back. It is told again at the next start.
---@param info glue.Session
local function offer(info)
  if offered[info.id] then
    return
  end
  offered[info.id] = true
  local since = M.time_of(info.createdAt)
  ui.warn(
    ('%s did not come back (sandbox of %s): :GlueSessions'):format(
      ui.count(info.checkpoint.changedFiles, 'changed file'),
      since and os.date('%d %b %H:%M', since) or info.createdAt
    )
  )
end

---@param client_id integer
---@param info glue.Session
function M.changed(client_id, info)
  local client = vim.lsp.get_client_by_id(client_id)
  local first = not known[info.id]
  known[info.id] = { info = info, client_id = client_id }
  for _, listener in ipairs(vim.list_slice(listeners)) do
    listener(info)
  end
  -- One that is heard of first with changes is of an earlier start.
  if first and client and M.has_changes(info) and #info.execs == 0 and is_of(info, client) then
    offer(info)
  end
  pcall(vim.cmd.redrawstatus, { bang = true })
  vim.api.nvim_exec_autocmds('User', { pattern = 'GlueSessionChanged', modeline = false })
end

---Waits until a session meets a condition.
---@param id string
---@param met fun(info: glue.Session): boolean
---@return glue.Session?
function M.wait(id, met)
  local now = known[id]
  if now and met(now.info) then
    return now.info
  end
  return async.await(function(callback)
    local function listener(info)
      if info.id == id and (met(info) or not M.is_open(info)) then
        for i, one in ipairs(listeners) do
          if one == listener then
            table.remove(listeners, i)
            break
          end
        end
        callback(info)
      end
    end
    listeners[#listeners + 1] = listener
  end)
end

---A server ended, and what it told counts no more.
---@param client_id integer
function M.forget(client_id)
  for id, one in pairs(known) do
    if one.client_id == client_id then
      known[id] = nil
    end
  end
  pcall(vim.cmd.redrawstatus, { bang = true })
end

---The open session of a client's folder, as far as it was told.
---@param client vim.lsp.Client
---@return glue.Session?
function M.open_one(client)
  local newest
  for _, one in pairs(known) do
    if one.client_id == client.id and M.is_open(one.info) and is_of(one.info, client) then
      if not newest or one.info.createdAt > newest.createdAt then
        newest = one.info
      end
    end
  end
  return newest
end

---Lists the sessions of a client's folder, or of all folders, the newest first.
---@param client vim.lsp.Client
---@param everywhere? boolean
---@return glue.Session[]? sessions nil when asking failed, which was said
function M.list(client, everywhere)
  local result, err = client_module.request(client, 'glue/session/list', vim.empty_dict())
  if not result then
    client_module.tell('Listing sessions', err)
    return nil
  end
  local found = vim.tbl_filter(function(info)
    return everywhere or is_of(info, client)
  end, result.sessions)
  for _, info in ipairs(found) do
    known[info.id] = { info = info, client_id = client.id }
  end
  table.sort(found, function(a, b)
    return a.createdAt > b.createdAt
  end)
  return found
end

---Opens a session on a client's folder, or gives the one that is open. Failing is said.
---@param client vim.lsp.Client
---@param sent? fun(cancel: fun())
---@param token? string
---@param separate? boolean
---@return glue.Session?
function M.open(client, sent, token, separate)
  local info, err = client_module.request(client, 'glue/session/open', {
    workspaceFolder = vim.uri_from_fname(client_module.root_of(client)),
    workDoneToken = token,
    new = separate,
  }, sent)
  if info then
    known[info.id] = { info = info, client_id = client.id }
    return info
  end
  if err.data and err.data.kind == 'sessionBusy' and not separate then
    local answer = ui.confirm(
      ('Another editor has a sandbox of this folder open.\n%s'):format(err.message),
      { '&Cancel', 'open a &Separate one' },
      1
    )
    return answer == 2 and M.open(client, sent, token, true) or nil
  end
  if err.code ~= -32800 then
    client_module.tell('Opening a sandbox', err)
  end
  return nil
end

---The session that a command about changes means: the one that was named, else the only one of
---this folder that has changes or is open, else the one that the person chooses.
---@param client vim.lsp.Client
---@param id? string
---@param wants? fun(info: glue.Session): boolean
---@return glue.Session?
function M.choose(client, id, wants)
  local all = M.list(client, id ~= nil)
  if not all then
    return nil
  end
  if id then
    for _, info in ipairs(all) do
      if info.id == id then
        return info
      end
    end
    ui.error(('there is no session %s. :GlueSessions lists what there is'):format(id))
    return nil
  end
  local fit = wants and vim.tbl_filter(wants, all) or all
  if #fit == 0 then
    ui.info(#all == 0 and 'nothing has run in a sandbox here yet' or 'the sandbox has no changes')
    return nil
  end
  if #fit == 1 then
    return fit[1]
  end
  return async.select(fit, 'Which session?', M.describe)
end

---@param info glue.Session
function M.has_changes(info)
  return info.checkpoint.changedFiles > 0
end

---@param at string RFC 3339 in UTC
---@return integer? seconds since 1970
function M.time_of(at)
  local y, mo, d, h, mi, s = at:match('^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)')
  if not y then
    return nil
  end
  local utc = { year = y, month = mo, day = d, hour = h, min = mi, sec = s, isdst = false }
  local as_local = os.time(utc)
  local offset = os.difftime(as_local, os.time(os.date('!*t', as_local) --[[@as osdateparam]]))
  return as_local + offset
end

---How long a session still has, "" where it has no end.
---@param info glue.Session
function M.time_left(info)
  local ends = info.expiresAt and M.time_of(info.expiresAt)
  if not ends then
    return ''
  end
  local left = math.max(0, math.floor(ends - os.time()))
  if left >= 3600 then
    return ('%d h %d min'):format(left / 3600, left % 3600 / 60)
  end
  return left >= 60 and ('%d min'):format(left / 60) or ('%d s'):format(left)
end

---One line about a session.
---@param info glue.Session
function M.describe(info)
  local since = M.time_of(info.createdAt)
  local parts = {
    since and os.date('%d %b %H:%M', since) or info.createdAt,
    info.runtime == info.isolation and info.runtime or info.runtime .. '/' .. info.isolation,
    M.is_open(info) and 'open' or 'ended',
    info.checkpoint.changedFiles == 0 and 'no changes'
      or ui.count(info.checkpoint.changedFiles, 'changed file'),
  }
  if M.is_open(info) and M.time_left(info) ~= '' then
    parts[#parts + 1] = M.time_left(info) .. ' left'
  end
  for _, exec in ipairs(M.is_open(info) and info.execs or {}) do
    parts[#parts + 1] = 'runs ' .. exec.command
  end
  return ui.line(table.concat(parts, '  '))
end

---For 'statusline': what a buffer's commands run in, and how much of its time is left.
---@param buf? integer
function M.status(buf)
  local client = client_module.get(buf or vim.api.nvim_get_current_buf())
  local info = client and M.open_one(client)
  if not info then
    return ''
  end
  local text = info.runtime == info.isolation and info.runtime
    or info.runtime .. ' ' .. info.isolation
  if info.state ~= 'ready' then
    text = text .. ' ' .. info.state
  end
  if #info.execs > 0 then
    text = text .. ' running'
  end
  if info.checkpoint.changedFiles > 0 then
    text = ('%s +%d'):format(text, info.checkpoint.changedFiles)
  end
  local left = M.time_left(info)
  return left == '' and text or text .. ' ' .. left
end

return M
