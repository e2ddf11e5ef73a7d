---The list of files that a session changed, in a buffer with keys.
local async = require('glue.async')
local client_module = require('glue.client')
local folders = require('glue.folders')
local config = require('glue.config')
local diff = require('glue.diff')
local sessions = require('glue.sessions')
local ui = require('glue.ui')

local M = {}

local letters = {
  added = 'A',
  modified = 'M',
  deleted = 'D',
  renamed = 'R',
  mode = 'M',
  type = 'T',
}

---One line about a changed file.
---@param file table a FileChange
function M.describe(file)
  local name = file.path
  if file.oldPath then
    name = file.oldPath .. ' → ' .. file.path
  end
  local parts = { (letters[file.status] or '?') .. '  ' .. ui.line(name) }
  if file.additions or file.deletions then
    parts[#parts + 1] = ('+%d -%d'):format(file.additions or 0, file.deletions or 0)
  end
  local beside = diff.beside_text(file)
  if beside ~= '' then
    parts[#parts + 1] = ui.line(beside)
  end
  return table.concat(parts, '   ')
end

---How a request names a file, whatever bytes its name has.
---@param file table a FileChange, Conflict or Skipped
function M.name(file)
  return file.pathBytes and { pathBytes = file.pathBytes } or file.path
end

---What a return would bring. Waits; failing is said.
---@param client vim.lsp.Client
---@param session string
---@param path? string
---@return table[]? files FileChange
function M.files(client, session, path)
  local params = { session = session, path = path }
  local result, err = client_module.request(client, 'glue/session/diff', params)
  if not result then
    client_module.tell('Comparing with the sandbox', err)
    return nil
  end
  M.completions = vim.tbl_map(function(file)
    return file.path
  end, result.files)
  return result.files
end

---@type string[] paths that were listed last, for completion
M.completions = {}

---What a person typed as the name of a file, relative to the tree's root.
---@param typed string
---@param host string the tree's root on the host
---@param buf integer what % stands for
---@return string? path nil for what is not in the tree
function M.tree_path(typed, host, buf)
  if typed == '%' or typed == '' then
    local file = folders.file_of(buf)
    if vim.b[buf].glue_path or not file then
      return vim.b[buf].glue_path
    end
    typed = file
  end
  local path = vim.fs.normalize(typed)
  if vim.startswith(path, '/') then
    return folders.is_below(path, host) and path:sub(#host + 2) or nil
  end
  local below_cwd = vim.fs.normalize(vim.fn.getcwd() .. '/' .. path)
  if not vim.list_contains(M.completions, path) and folders.is_below(below_cwd, host) then
    return below_cwd:sub(#host + 2)
  end
  return path
end

---The names of the changes that a person means, for a request; nil, which was said, when one of
---them is not there. Waits.
---@param client vim.lsp.Client
---@param session glue.Session
---@param typed string[]
---@param buf integer
---@return (string|table)[]?
function M.named(client, session, typed, buf)
  local host = sessions.host_root(session, client)
  local files = M.files(client, session.id)
  if not files then
    return nil
  end
  local found = {}
  for _, one in ipairs(typed) do
    local path = M.tree_path(one, host, buf)
    if not path then
      ui.error(one .. ' is not in the tree of the sandbox')
      return nil
    end
    local fit = vim.tbl_filter(function(file)
      return folders.is_below(file.path, path)
        or (file.oldPath ~= nil and folders.is_below(file.oldPath, path))
    end, files)
    if #fit == 0 then
      ui.error(('the sandbox has no change of %s'):format(path))
      return nil
    end
    vim.list_extend(found, vim.tbl_map(M.name, fit))
  end
  return found
end

local view = { buf = nil, session = nil, client = nil, files = {} }
M.view = view

local function file_here()
  return view.files[vim.api.nvim_win_get_cursor(0)[1]]
end

local function fill()
  if not (view.buf and vim.api.nvim_buf_is_valid(view.buf)) then
    return
  end
  local lines = vim.tbl_map(M.describe, view.files)
  ui.set_lines(view.buf, #lines > 0 and lines or { 'The sandbox has no changes.' })
end

---Shows the list as it is now. Waits.
function M.reload()
  if not (view.buf and vim.api.nvim_buf_is_valid(view.buf)) then
    return
  end
  local client = vim.lsp.get_client_by_id(view.client)
  local files = client and M.files(client, view.session.id)
  if files then
    view.files = files
    fill()
  end
end

local function keys(buf)
  local function map(lhs, doc, action)
    vim.keymap.set('n', lhs, function()
      async.run(action)
    end, { buffer = buf, desc = doc, nowait = true })
  end
  map('<CR>', 'Show what changed in the file', function()
    local file = file_here()
    if file then
      diff.open(view.session, file)
    end
  end)
  map('r', 'Return this file', function()
    local file = file_here()
    if file then
      require('glue.returning').start(buf, { session = view.session.id, paths = { M.name(file) } })
    end
  end)
  map('R', 'Return all files', function()
    require('glue.returning').start(buf, { session = view.session.id })
  end)
  map('x', 'Throw the change of this file away', function()
    local file = file_here()
    if file then
      require('glue.returning').discard(
        buf,
        { session = view.session.id, paths = { M.name(file) }, names = { file.path } }
      )
    end
  end)
  map('gr', 'List again', M.reload)
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, desc = 'Close the list' })
end

---Lists what a session changed at the bottom.
---@param client vim.lsp.Client
---@param session glue.Session
---@param files table[] FileChange
function M.show(client, session, files)
  if not (view.buf and vim.api.nvim_buf_is_valid(view.buf)) then
    view.buf = ui.scratch('glue://changes')
    vim.bo[view.buf].filetype = 'glue-changes'
    keys(view.buf)
  end
  view.session, view.client, view.files = session, client.id, files
  fill()
  local height = math.min(math.max(#files, 3) + 1, config.options.output_height)
  local win = ui.below(view.buf, height, true)
  local bar = ' what the sandbox changed   (<CR> diff  r return  R return all  x discard  q close)'
  vim.api.nvim_set_option_value('winbar', ui.literal(bar), { win = win, scope = 'local' })
  vim.api.nvim_set_option_value('cursorline', true, { win = win, scope = 'local' })
end

---:GlueDiff. Without a path the changes are listed.
---@param buf integer
---@param typed? string
---@param id? string the session
function M.command(buf, typed, id)
  async.run(function()
    local client = client_module.ensure(buf)
    if not client then
      return
    end
    local session =
      sessions.choose(client, id or vim.b[buf].glue_session, id == nil and function(info)
        return sessions.is_open(info) or sessions.has_changes(info)
      end or nil)
    if not session then
      return
    end
    local path = typed and M.tree_path(typed, sessions.host_root(session, client), buf)
    if typed and not path then
      ui.error(typed .. ' is not in the tree of the sandbox')
      return
    end
    local files = M.files(client, session.id)
    if not files then
      return
    end
    if not path then
      if #files == 0 then
        ui.info('the sandbox has no changes')
        return
      end
      M.show(client, session, files)
      return
    end
    for _, file in ipairs(files) do
      if file.path == path or file.oldPath == path then
        diff.open(session, file)
        return
      end
    end
    ui.info(('the sandbox has no change of %s'):format(path))
  end)
end

return M
