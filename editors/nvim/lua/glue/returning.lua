---Brings the sandbox's changes back: shown first, asked about where it matters, and undone.
local apply = require('glue.apply')
local async = require('glue.async')
local changes = require('glue.changes')
local client_module = require('glue.client')
local sessions = require('glue.sessions')
local ui = require('glue.ui')

local M = {}

---@class glue.ReturnRequest
---@field session? string
---@field paths? (string|table)[] relative to the tree's root
---@field typed? string[] as a person wrote them
---@field quick? boolean do not ask where nothing is unusual

---@type table<string, glue.Session> per folder; an ended one that was returned is listed no more
local last_returned = {}

local function token()
  return require('glue.streams').new_id()
end

---Asks again where the server wants a yes for the deletion of most files.
---@param client vim.lsp.Client
---@param params table
local function ask_return(client, params)
  params.workDoneToken = token()
  local result, err = client_module.request(client, 'glue/session/return', params)
  if err and err.data and err.data.kind == 'needsConfirmation' and not params.allowMassDelete then
    local why = err.message:gsub('^return: ', ''):gsub('; nothing was changed here$', '')
    local question = why:gsub('^%l', string.upper) .. '. Delete them here too?'
    local answer = ui.confirm(question, { '&No', '&Delete them' }, 1)
    if answer ~= 2 then
      return nil, nil
    end
    params.allowMassDelete = true
    return ask_return(client, params)
  end
  return result, err
end

-- Files that wait for a yes are among files, and named in skipped with the reason.
local function split(result)
  local reasons = {}
  for _, one in ipairs(result.skipped) do
    reasons[one.path] = one.reason
  end
  local coming, waiting = {}, {}
  for _, file in ipairs(result.files) do
    if reasons[file.path] then
      waiting[#waiting + 1] = file
    else
      coming[#coming + 1] = file
    end
    reasons[file.path] = nil
  end
  local left_out = vim.tbl_filter(function(one)
    return reasons[one.path] ~= nil
  end, result.skipped)
  return coming, waiting, left_out
end

local function reason_of(result, path)
  for _, one in ipairs(result.skipped) do
    if one.path == path then
      return one.reason
    end
  end
  return ''
end

---Asks about each file that acts by itself, by name; nobody's <Enter> is a yes.
---@return (string|table)[] confirmed
local function ask_about(result, waiting)
  local yes = {}
  for _, file in ipairs(waiting) do
    local question = ('%s was left in the sandbox: %s.\nBring it back too?'):format(
      ui.line(file.path),
      ui.line(reason_of(result, file.path))
    )
    if ui.confirm(question, { '&No', '&Yes' }, 1) == 2 then
      yes[#yes + 1] = changes.name(file)
    end
  end
  return yes
end

local function shown_list(files)
  local lines = {}
  for i, file in ipairs(files) do
    if i > 15 then
      lines[#lines + 1] = ('   … and %d more'):format(#files - 15)
      break
    end
    lines[#lines + 1] = '   ' .. changes.describe(file)
  end
  return table.concat(lines, '\n')
end

---Names of all that a plan is about, so that what is applied is nothing else.
---@param plan table a ReturnResult
local function named_by(plan)
  local all = {}
  for _, list in ipairs({ plan.files, plan.conflicts, plan.skipped }) do
    vim.list_extend(all, vim.tbl_map(changes.name, list))
  end
  return all
end

---What a person agreed to, as far as it must not become something else meanwhile.
---@param plan table a ReturnResult
local function shown_by(plan)
  local all = {}
  for _, file in ipairs(plan.files) do
    all[file.pathBytes or file.path] = {
      file.status,
      file.kind,
      file.oldPathBytes or file.oldPath or '',
      file.newMode or 0,
      file.acts ~= nil,
      reason_of(plan, file.path),
    }
  end
  return all
end

local function names(list)
  return ui.some(vim.tbl_map(function(one)
    return ui.line(one.path)
  end, list))
end

---Parts conflicts to be settled from those where something is in the way, which a person takes
---out of it.
local function by_hold(conflicts)
  local both, held = {}, {}
  for _, one in ipairs(conflicts) do
    table.insert(one.held and held or both, one)
  end
  return both, held
end

---Says what came of a return, or of its undoing.
---@param result table a ReturnResult
---@param verb string
local function tell(result, verb)
  local coming, waiting, left_out = split(result)
  local parts, bad = {}, false
  if result.applied then
    parts[1] = ('%s %s'):format(ui.count(#coming, 'file'), verb)
  elseif result.branch then
    parts[1] = 'the changes are on the branch ' .. result.branch
  elseif #coming > 0 then
    bad = true
    parts[1] = ('%s not %s; the changes are kept'):format(ui.count(#coming, 'file'), verb)
  elseif #result.conflicts == 0 and #waiting == 0 and #left_out == 0 then
    parts[1] = 'nothing was to be ' .. verb
  end
  if #waiting > 0 then
    parts[#parts + 1] = 'left in the sandbox: ' .. names(waiting)
  end
  if #left_out > 0 then
    bad = true
    parts[#parts + 1] = 'left out: '
      .. ui.some(vim.tbl_map(function(one)
        return ('%s (%s)'):format(ui.line(one.path), ui.line(one.reason))
      end, left_out))
  end
  local both, held = by_hold(result.conflicts)
  if #both > 0 then
    bad = true
    parts[#parts + 1] = 'changed on both sides: ' .. names(both)
  end
  for _, one in ipairs(held) do
    bad = true
    parts[#parts + 1] = ui.line(('%s: %s'):format(one.path, one.detail))
  end
  if result.unavailable then
    bad = true
    parts[#parts + 1] = result.unavailable.message
  end
  local text = table.concat(parts, '; ')
  if bad then
    ui.warn(text)
  else
    ui.info(text .. (verb == 'returned' and result.applied and ' (:GlueUndo takes it back)' or ''))
  end
end

---What is to be done once a return was answered. Waits.
---@param client vim.lsp.Client
---@param session glue.Session
---@param result table a ReturnResult
---@param verb string
function M.finish(client, session, result, verb)
  if verb == 'returned' and result.applied then
    last_returned[client_module.root_of(client)] = session
  end
  local host = sessions.host_root(session, client)
  apply.refresh(result.files, host)
  tell(result, verb)
  changes.reload()
  local both = by_hold(result.conflicts)
  if verb == 'returned' and #both > 0 then
    require('glue.conflicts').open(client, session, both)
  end
end

---Shows what would come back, and asks for it.
---@param client vim.lsp.Client
---@param session glue.Session
---@param plan table a ReturnResult
---@return boolean
local function agreed(client, session, plan)
  local coming, _, left_out = split(plan)
  local question = ('Bring back %s?\n%s'):format(
    ui.count(#coming, 'changed file'),
    shown_list(coming)
  )
  local both, held = by_hold(plan.conflicts)
  if #both > 0 then
    question = question .. '\nChanged on both sides, asked about next: ' .. names(both)
  end
  if #left_out + #held > 0 then
    question = question .. '\nLeft out: ' .. names(vim.list_extend(left_out, held))
  end
  local answer = ui.confirm(question, { '&Return', '&Show', '&Cancel' }, 1)
  if answer == 2 then
    changes.show(client, session, plan.files)
  end
  return answer == 1
end

---Returns changes of a session.
---@param buf integer
---@param request glue.ReturnRequest
function M.start(buf, request)
  async.run(function()
    local client = client_module.ensure(buf)
    if not client then
      return
    end
    local session = sessions.choose(client, request.session, function(info)
      return sessions.has_changes(info) or sessions.is_open(info)
    end)
    if not session then
      return
    end
    local paths = request.paths
    if request.typed and #request.typed > 0 then
      paths = changes.named(client, session, request.typed, buf)
      if not paths then
        return
      end
    end
    local params = { session = session.id, apply = false, paths = paths }
    local plan, err = ask_return(client, params)
    if not plan then
      if err then
        client_module.tell('Returning changes', err)
      end
      return
    end
    local confirmed
    repeat
      local shown = shown_by(plan)
      local coming, waiting = split(plan)
      if #coming + #waiting == 0 then
        -- Conflicts, or nothing at all.
        M.finish(client, session, plan, 'returned')
        return
      end
      if #coming > 0 and not request.quick and not agreed(client, session, plan) then
        return
      end
      confirmed = ask_about(plan, waiting)
      if #coming == 0 and #confirmed == 0 then
        tell(plan, 'returned')
        return
      end
      params.paths = named_by(plan)
      local asked = not request.quick or #waiting > 0
      if asked then
        -- A command that still runs, or somebody else, changed more while the question stood.
        plan, err = ask_return(client, params)
        if not plan then
          if err then
            client_module.tell('Returning changes', err)
          end
          return
        end
        asked = not vim.deep_equal(shown_by(plan), shown)
        if asked then
          ui.warn('what would come back is not the same any more')
        end
      end
    until not asked
    params.apply = true
    params.confirm = #confirmed > 0 and confirmed or nil
    local result
    result, err = ask_return(client, params)
    if not result then
      if err then
        client_module.tell('Returning changes', err)
      end
      return
    end
    M.finish(client, session, result, 'returned')
  end)
end

---Takes the last return back.
---@param buf integer
---@param id? string
function M.undo(buf, id)
  async.run(function()
    local client = client_module.ensure(buf)
    if not client then
      return
    end
    local session = not id and last_returned[client_module.root_of(client)]
      or sessions.choose(client, id)
    if not session then
      return
    end
    local params = { session = session.id, workDoneToken = token() }
    local result, err = client_module.request(client, 'glue/session/undo', params)
    if not result then
      client_module.tell('Undoing the return', err)
      return
    end
    M.finish(client, session, result, 'taken back')
  end)
end

---Throws changes of the sandbox away, after a question.
---@param buf integer
---@param request { session?: string, paths?: (string|table)[], names?: string[], typed?: string[], quick?: boolean }
function M.discard(buf, request)
  async.run(function()
    local client = client_module.ensure(buf)
    local session = client and sessions.choose(client, request.session, sessions.has_changes)
    if not client or not session then
      return
    end
    local paths, shown = request.paths, request.names
    if request.typed and #request.typed > 0 then
      paths, shown = changes.named(client, session, request.typed, buf), request.typed
      if not paths then
        return
      end
    end
    local what = shown and ui.some(shown) or nil
    if not what then
      local files = changes.files(client, session.id)
      if not files then
        return
      end
      if #files == 0 then
        ui.info('the sandbox has no changes')
        return
      end
      -- By name: what changes while the question stands was not asked about.
      paths = vim.tbl_map(changes.name, files)
      what = ('all %s of the sandbox (%s)'):format(ui.count(#files, 'change'), names(files))
    end
    local question = ('Throw away %s? It cannot be brought back.'):format(what)
    if not request.quick and ui.confirm(question, { '&Keep', '&Throw away' }, 1) ~= 2 then
      return
    end
    local result, err = client_module.request(
      client,
      'glue/session/discard',
      { session = session.id, paths = paths, workDoneToken = token() }
    )
    if not result then
      client_module.tell('Discarding changes', err)
      return
    end
    ui.info(ui.count(#result.files, 'change') .. ' thrown away')
    changes.reload()
    require('glue.sessions_view').reload()
  end)
end

---Ends the session of this folder. Its changes stay until they are returned or discarded.
---@param buf integer
---@param id? string
function M.close(buf, id)
  async.run(function()
    local client = client_module.ensure(buf)
    local session = client and sessions.choose(client, id, sessions.is_open)
    if not client or not session then
      return
    end
    local result, err = client_module.request(
      client,
      'glue/session/close',
      { session = session.id, ['return'] = false, workDoneToken = token() }
    )
    if not result then
      client_module.tell('Closing the sandbox', err)
      return
    end
    local left = #result.files > 0 or session.checkpoint.changedFiles > 0
    ui.info('the sandbox is closed' .. (left and '; :GlueSessions has its changes' or ''))
    require('glue.sessions_view').reload()
  end)
end

return M
