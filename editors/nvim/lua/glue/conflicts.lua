---Settles what was changed on both sides: a three-way difference whose middle is the result.
local async = require('glue.async')
local changes = require('glue.changes')
local client_module = require('glue.client')
local diff = require('glue.diff')
local documents = require('glue.documents')
local sessions = require('glue.sessions')
local ui = require('glue.ui')

local M = {}

---@class glue.Mine the host's version, as the editor has it
---@field text string with line feeds
---@field buf? integer
---@field crlf boolean
---@field bom boolean
---@field encoding string

---@param path string
---@return glue.Mine?
local function mine_of(path)
  local buf = vim.fn.bufadd(path)
  local there = vim.api.nvim_buf_is_loaded(buf)
  if not there and vim.fn.filereadable(path) == 0 then
    return nil
  end
  vim.fn.bufload(buf)
  local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
  local options = vim.bo[buf]
  local text = table.concat(lines, '\n') .. (options.endofline and '\n' or '')
  if #lines == 1 and lines[1] == '' then
    text = ''
  end
  local encoding = options.fileencoding
  return {
    text = text,
    buf = buf,
    crlf = options.fileformat == 'dos',
    bom = options.bomb,
    encoding = encoding == '' and 'utf-8' or encoding,
  }
end

---The bytes of a text in the form of the host's file.
---@param text string
---@param mine glue.Mine?
function M.bytes(text, mine)
  if not mine then
    return text
  end
  if mine.crlf then
    text = text:gsub('\r?\n', '\r\n')
  end
  if mine.encoding ~= 'utf-8' then
    text = vim.iconv(text, 'utf-8', mine.encoding) or text
  elseif mine.bom then
    text = '\239\187\191' .. text
  end
  return text
end

---Merges three texts; what both changed has markers with these labels. git does it, without any
---configuration.
---@param labels string[]
---@return string? text
---@return string? problem
local function merged(mine, base, theirs, labels)
  local dir = vim.fn.tempname()
  vim.fn.mkdir(dir, 'p', tonumber('700', 8))
  local names = {}
  for name, text in pairs({ mine = mine, base = base, sandbox = theirs }) do
    names[name] = dir .. '/' .. name
    local file = assert(io.open(names[name], 'wb'))
    file:write(text)
    file:close()
  end
  local result = async.await(function(callback)
    local ok, err = pcall(vim.system, {
      'git',
      'merge-file',
      '-p',
      '--diff3',
      '-L',
      labels[1],
      '-L',
      labels[2],
      '-L',
      labels[3],
      names.mine,
      names.base,
      names.sandbox,
    }, {
      cwd = dir,
      env = {
        GIT_CONFIG_GLOBAL = '/dev/null',
        GIT_CONFIG_NOSYSTEM = '1',
        GIT_CEILING_DIRECTORIES = dir,
      },
    }, callback)
    if not ok then
      callback({ code = -1, stderr = tostring(err) })
    end
  end)
  vim.schedule(function()
    vim.fn.delete(dir, 'rf')
  end)
  -- The status is the number of conflicts; 255 is failure.
  if result.code < 0 or result.code >= 128 then
    return nil, vim.trim(result.stderr or '')
  end
  return result.stdout
end

local sides = { 'mine', 'before', 'sandbox' }
-- When mine was typed into while the result was edited.
local later_sides = { 'result', 'mine before', 'mine now' }

---@param line string
local function is_marker(line)
  for _, labels in ipairs({ sides, later_sides }) do
    if
      line == '<<<<<<< ' .. labels[1]
      or line == '||||||| ' .. labels[2]
      or line == '>>>>>>> ' .. labels[3]
    then
      return true
    end
  end
  return false
end

local function first_marker(buf)
  for i, line in ipairs(vim.api.nvim_buf_get_lines(buf, 0, -1, false)) do
    if is_marker(line) then
      return i
    end
  end
end

---Sends how a conflict is settled. Waits.
---@param client vim.lsp.Client
---@param session glue.Session
---@param conflict table
---@param resolution table choice, and data with encoding
---@return boolean settled
local function settle(client, session, conflict, resolution)
  resolution.path = not conflict.pathBytes and conflict.path or nil
  resolution.pathBytes = conflict.pathBytes
  local result, err = client_module.request(client, 'glue/session/return', {
    session = session.id,
    paths = { changes.name(conflict) },
    confirm = { changes.name(conflict) },
    resolutions = { resolution },
  })
  if not result then
    client_module.tell('Settling ' .. conflict.path, err)
    return false
  end
  require('glue.apply').refresh({ conflict }, sessions.host_root(session, client))
  for _, still in ipairs(result.conflicts) do
    if still.path == conflict.path then
      local how = still.held and 'not settled' or 'still changed on both sides'
      ui.warn(('%s is %s: %s'):format(still.path, how, still.detail))
      return false
    end
  end
  ui.info(conflict.path .. ' is settled')
  changes.reload()
  return true
end

---A conflict that no text can settle is a choice.
local function choose_side(client, session, conflict)
  local answer = ui.confirm(
    ('%s was changed on both sides (%s): %s'):format(
      ui.line(conflict.path),
      ui.line(conflict.kind),
      ui.line(conflict.detail)
    ),
    { '&Later', 'keep &Mine', "take the &Sandbox's" },
    1
  )
  if answer ~= 1 then
    settle(client, session, conflict, { choice = answer == 2 and 'mine' or 'theirs' })
  end
end

---@type table<integer, table> per result buffer
local open_merges = {}

---The result of a merge with this text of the sandbox's that was begun and not settled.
---@param session glue.Session
---@param path string
---@param theirs_text string
---@return integer?
local function begun(session, path, theirs_text)
  for result, merge in pairs(open_merges) do
    if
      merge.session.id == session.id
      and merge.conflict.path == path
      and merge.theirs_text == theirs_text
    then
      return result
    end
  end
end

---@param buf integer
---@param text string
local function set_text(buf, text)
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, documents.lines(text))
  vim.bo[buf].endofline = text == '' or vim.endswith(text, '\n')
end

---@param buf integer
local function text_of(buf)
  local text = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), '\n')
  return vim.bo[buf].endofline and text .. '\n' or text
end

---:w with another name: a copy, and nothing is settled.
---@param result integer
---@param path string
local function copy(result, path)
  local file, err = io.open(path, 'wb')
  local ok = file ~= nil
  if file then
    ok, err = file:write(text_of(result))
    file:close()
  end
  if ok then
    ui.info(('a copy is in %s; :w settles the conflict'):format(path))
  else
    ui.error(tostring(err))
  end
end

---Shows the three texts of a merge, in the tab that has them or a new one.
---@param result integer
local function show(result)
  local merge = open_merges[result]
  if merge.tab and vim.api.nvim_tabpage_is_valid(merge.tab) then
    vim.api.nvim_set_current_tabpage(merge.tab)
    return
  end
  vim.cmd('tabnew')
  local empty = vim.api.nvim_get_current_buf()
  local left = vim.api.nvim_get_current_win()
  vim.cmd('rightbelow vsplit')
  local middle = vim.api.nvim_get_current_win()
  vim.cmd('rightbelow vsplit')
  local right = vim.api.nvim_get_current_win()
  local path = merge.conflict.path
  diff.pane(left, merge.mine.buf, ' mine: ' .. path)
  diff.pane(middle, result, ' result: edit and :w, or :GlueConflicts mine/theirs', true)
  local theirs = documents.open(documents.uri('sandbox', merge.session.id, path))
  diff.pane(right, theirs, ' sandbox: ' .. path)
  pcall(vim.api.nvim_buf_delete, empty, {})
  vim.api.nvim_set_current_win(middle)
  vim.api.nvim_win_set_cursor(middle, { first_marker(result) or 1, 0 })
  merge.tab = vim.api.nvim_get_current_tabpage()
end

---Opens one conflict in a tab of its own: mine, the result, the sandbox's. Waits.
local function open_text(client, session, conflict)
  local host = sessions.host_root(session, client)
  local path = host .. '/' .. conflict.path
  local mine = mine_of(path)
  local base_text = documents.text(client, documents.uri('base', session.id, conflict.path)) or ''
  local theirs_text, err =
    documents.text(client, documents.uri('sandbox', session.id, conflict.path))
  if not mine or not theirs_text then
    if err and err.data and err.data.kind ~= 'fileNotFound' then
      client_module.tell('Showing ' .. conflict.path, err)
    end
    choose_side(client, session, conflict)
    return
  end
  local before = begun(session, conflict.path, theirs_text)
  if before then
    open_merges[before].mine.buf = mine.buf
    show(before)
    return
  end
  local text, problem =
    merged(mine.text, (base_text:gsub('\r\n', '\n')), (theirs_text:gsub('\r\n', '\n')), sides)
  if not text then
    ui.error(('%s cannot be merged: git merge-file: %s'):format(conflict.path, problem))
    choose_side(client, session, conflict)
    return
  end
  local result = ui.scratch('glue://merge/' .. conflict.path)
  vim.bo[result].undolevels = vim.o.undolevels
  vim.bo[result].buftype = 'acwrite'
  vim.bo[result].bufhidden = 'hide'
  set_text(result, text)
  documents.colour(result, conflict.path)
  vim.bo[result].modified = true
  open_merges[result] = {
    client_id = client.id,
    session = session,
    conflict = conflict,
    mine = mine,
    theirs_text = theirs_text,
    path = path,
    name = vim.api.nvim_buf_get_name(result),
  }
  show(result)
  vim.api.nvim_create_autocmd('BufWriteCmd', {
    buffer = result,
    callback = function(args)
      local merge = open_merges[result]
      if not merge or args.file == merge.name then
        M.write(result, vim.v.cmdbang == 1)
      else
        copy(result, args.match)
      end
    end,
  })
  vim.api.nvim_create_autocmd('BufWipeout', {
    buffer = result,
    callback = function()
      open_merges[result] = nil
    end,
  })
end

local function close(result)
  local merge = open_merges[result]
  open_merges[result] = nil
  if merge and vim.api.nvim_tabpage_is_valid(merge.tab) and #vim.api.nvim_list_tabpages() > 1 then
    vim.cmd('tabclose ' .. vim.api.nvim_tabpage_get_number(merge.tab))
  end
  pcall(vim.api.nvim_buf_delete, result, { force = true })
end

---@param result integer
---@param resolution table
local function send(result, resolution)
  local merge = open_merges[result]
  async.run(function()
    local client = vim.lsp.get_client_by_id(merge.client_id) or client_module.ensure(merge.mine.buf)
    if not client then
      return
    end
    if settle(client, merge.session, merge.conflict, resolution) then
      close(result)
    end
  end)
end

---The result would overwrite what was typed since it was made: nothing is settled, and that can
---be merged into it.
---@param result integer
---@param now? glue.Mine
local function changed_meanwhile(result, now)
  local merge = open_merges[result]
  if not now then
    ui.error(merge.conflict.path .. ' is gone meanwhile. Close this tab, and :GlueReturn again')
    return
  end
  local question = ('%s was changed since this merge began. Nothing is settled.\n'):format(
    ui.line(merge.conflict.path)
  ) .. 'Bring that change into the result too?'
  if ui.confirm(question, { '&Later', '&Merge again' }, 1) ~= 2 then
    return
  end
  async.run(function()
    local tick = vim.api.nvim_buf_get_changedtick(result)
    local text, problem = merged(text_of(result), merge.mine.text, now.text, later_sides)
    if not text then
      ui.error(('%s cannot be merged: git merge-file: %s'):format(merge.conflict.path, problem))
      return
    end
    if tick ~= vim.api.nvim_buf_get_changedtick(result) then
      ui.warn('the result was edited meanwhile; :w once more')
      return
    end
    merge.mine = now
    set_text(result, text)
    vim.bo[result].modified = true
    local marker = first_marker(result)
    ui.info(marker and ('line %d has a conflict'):format(marker) or 'merged again; :w settles it')
  end)
end

---:w in a result.
---@param result integer
---@param bang boolean
function M.write(result, bang)
  local merge = open_merges[result]
  if not merge then
    ui.error('this merge is over')
    return
  end
  local marker = first_marker(result)
  if marker and not bang then
    ui.error(
      ('line %d still has a conflict marker. Edit it away, or :w! to take the text as it is'):format(
        marker
      )
    )
    return
  end
  -- As on disk, where the buffer has nothing unsaved.
  require('glue.apply').refresh({ merge.conflict }, merge.path:sub(1, -#merge.conflict.path - 2))
  local now = mine_of(merge.path)
  if not now or now.text ~= merge.mine.text then
    changed_meanwhile(result, now)
    return
  end
  local data, encoding = require('glue.streams').payload(M.bytes(text_of(result), now))
  send(result, { choice = 'content', data = data, encoding = encoding })
end

---Opens conflicts: texts as three-way differences, the others as questions. Waits.
---@param client vim.lsp.Client
---@param session glue.Session
---@param conflicts table[]
function M.open(client, session, conflicts)
  for _, conflict in ipairs(conflicts) do
    if conflict.held then
      ui.warn(ui.line(('%s: %s'):format(conflict.path, conflict.detail)))
    elseif conflict.pathBytes or not vim.list_contains({ 'content', 'addAdd' }, conflict.kind) then
      choose_side(client, session, conflict)
    else
      open_text(client, session, conflict)
    end
  end
end

---:GlueConflicts: without a choice, opens what is in conflict now; with one, settles the merge of
---the current tab by it.
---@param buf integer
---@param choice? string
function M.command(buf, choice)
  if choice and choice ~= '' then
    if choice ~= 'mine' and choice ~= 'theirs' then
      ui.error('it is :GlueConflicts mine, or :GlueConflicts theirs')
      return
    end
    for result, merge in pairs(open_merges) do
      if merge.tab == vim.api.nvim_get_current_tabpage() then
        send(result, { choice = choice })
        return
      end
    end
    ui.info('there is no conflict in this tab')
    return
  end
  async.run(function()
    local client = client_module.ensure(buf)
    local session = client
      and sessions.choose(client, nil, function(info)
        return sessions.has_changes(info) or sessions.is_open(info)
      end)
    if not client or not session then
      return
    end
    local plan, err =
      client_module.request(client, 'glue/session/return', { session = session.id, apply = false })
    if not plan then
      client_module.tell('Looking for conflicts', err)
      return
    end
    if #plan.conflicts == 0 then
      ui.info('nothing was changed on both sides')
      return
    end
    M.open(client, session, plan.conflicts)
  end)
end

return M
