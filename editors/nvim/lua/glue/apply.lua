---Takes the server's edits over into buffers, and what it wrote to disk. A person's unsaved text
---is only ever edited, never saved, replaced or closed.
local folders = require('glue.folders')
local ui = require('glue.ui')

local M = {}

---The loaded buffer of a file, nil when there is none.
---@param path string
---@return integer?
local function buffer_of(path)
  path = vim.fs.normalize(path)
  local real = vim.uv.fs_realpath(path)
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    local file = vim.api.nvim_buf_is_loaded(buf) and folders.file_of(buf)
    if file and (file == path or real and vim.uv.fs_realpath(file) == real) then
      return buf
    end
  end
end

---Why an edit cannot be done as it is, nil when it can. Neovim itself would do a part of it, and
---delete files with the unsaved text that their buffers hold.
---@param edit table an LSP WorkspaceEdit
---@return string?
local function obstacle(edit)
  for _, change in ipairs(edit.documentChanges or {}) do
    if change.kind then
      for _, uri in ipairs({ change.uri, change.oldUri, change.newUri }) do
        local buf = buffer_of(vim.uri_to_fname(uri))
        if buf and vim.bo[buf].modified then
          return vim.uri_to_fname(uri) .. ' has unsaved text'
        end
      end
    else
      local document = change.textDocument
      local buf = buffer_of(vim.uri_to_fname(document.uri))
      local version = tonumber(document.version)
      if buf and version and vim.lsp.util.buf_versions[buf] ~= version then
        return vim.uri_to_fname(document.uri) .. ' was changed meanwhile'
      end
      if buf and not vim.bo[buf].modifiable then
        return vim.uri_to_fname(document.uri) .. " is in a buffer with 'nomodifiable'"
      end
    end
  end
end

---Writes a buffer as it is: what changes text on saving is the person's to start.
---@param buf integer
local function write(buf)
  local ignored = vim.o.eventignore
  vim.o.eventignore = (ignored == '' and '' or ignored .. ',') .. 'BufWritePre,FileWritePre'
  local ok, err = pcall(vim.api.nvim_buf_call, buf, function()
    vim.cmd('silent keepalt write')
  end)
  vim.o.eventignore = ignored
  if not ok then
    ui.warn(('%s is not saved: %s'):format(vim.api.nvim_buf_get_name(buf), tostring(err)))
  end
end

---Does workspace/applyEdit: buffers that were as on disk are so again afterwards, and what
---unsaved text is edited stays unsaved.
---@param params table
---@param client_id integer
function M.handle(params, client_id)
  local client = assert(vim.lsp.get_client_by_id(client_id))
  local edit = params.edit
  local why = obstacle(edit)
  if why then
    return { applied = false, failureReason = why }
  end
  local clean = {}
  for _, change in ipairs(edit.documentChanges or {}) do
    if change.textDocument then
      local buf = buffer_of(vim.uri_to_fname(change.textDocument.uri))
      if not buf or not vim.bo[buf].modified then
        clean[#clean + 1] = vim.uri_to_fname(change.textDocument.uri)
      end
    end
  end
  local ok, err = pcall(vim.lsp.util.apply_workspace_edit, edit, client.offset_encoding)
  for _, path in ipairs(clean) do
    local buf = buffer_of(path)
    if buf and vim.bo[buf].modified then
      write(buf)
    end
  end
  if not ok then
    return { applied = false, failureReason = tostring(err) }
  end
  return { applied = true }
end

---Shows in a buffer what is on disk now, with its line ends and encoding.
---@param buf integer
local function reload(buf)
  -- 'autoread' would keep the old kind of line ends, and write it back later.
  vim.bo[buf].autoread = false
  local autocmd = vim.api.nvim_create_autocmd('FileChangedShell', {
    buffer = buf,
    callback = function()
      vim.v.fcs_choice = 'edit'
    end,
  })
  pcall(vim.cmd, 'silent! checktime ' .. buf)
  pcall(vim.api.nvim_del_autocmd, autocmd)
  pcall(vim.api.nvim_set_option_value, 'autoread', nil, { buf = buf })
end

---Closes a buffer whose file is gone; windows show another one then.
---@param buf integer
---@param instead? string a file
local function close(buf, instead)
  for _, win in ipairs(vim.fn.win_findbuf(buf)) do
    vim.api.nvim_win_call(win, function()
      if instead then
        vim.cmd('silent keepalt edit ' .. vim.fn.fnameescape(instead))
      else
        vim.cmd('enew')
      end
    end)
  end
  pcall(vim.api.nvim_buf_delete, buf, {})
end

---Brings the buffers of files that the server wrote up to date.
---@param files table[] FileChange
---@param host string the folder that their paths are relative to
function M.refresh(files, host)
  for _, file in ipairs(files) do
    local path = host .. '/' .. file.path
    local old = file.oldPath and host .. '/' .. file.oldPath
    for _, one in ipairs({ path, old }) do
      local buf = buffer_of(one)
      if buf and not vim.bo[buf].modified then
        local renamed = one == old and vim.uv.fs_lstat(path) and path or nil
        if vim.uv.fs_lstat(one) then
          reload(buf)
        elseif vim.fn.filereadable(one) == 0 then
          close(buf, renamed)
        end
      end
    end
  end
end

return M
