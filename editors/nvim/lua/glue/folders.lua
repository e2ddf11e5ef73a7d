---Which folder on the host a buffer belongs to.
local config = require('glue.config')

local M = {}

---@param path string
---@param dir string
function M.is_below(path, dir)
  return path == dir or vim.startswith(path, dir == '/' and '/' or dir .. '/')
end

---The file of a buffer, nil where it has none.
---@param buf integer
---@return string?
function M.file_of(buf)
  if not vim.api.nvim_buf_is_valid(buf) or vim.bo[buf].buftype ~= '' then
    return nil
  end
  local name = vim.api.nvim_buf_get_name(buf)
  if name == '' or name:find('^%a[%w+.-]*:') then
    return nil
  end
  return vim.fs.normalize(name)
end

---The root of the project that a buffer belongs to.
---@param buf integer
---@return string?
function M.project_of(buf)
  local file = M.file_of(buf)
  local root = file and vim.fs.root(file, config.options.root_markers)
  return root and vim.fs.normalize(root)
end

---The folder that a command typed in a buffer is meant for: its project, else the folder that
---Neovim is in.
---@param buf integer
---@return string? root
---@return string? why there is none
function M.for_command(buf)
  local root = M.project_of(buf)
  if root then
    return root
  end
  local cwd = vim.fs.normalize(vim.fn.getcwd())
  local home = vim.fs.normalize(vim.uv.os_homedir() or '/')
  if M.is_below(home, cwd) then
    return nil,
      ('there is no project here: %s holds your home folder. Open a file of a project, or :cd into one'):format(
        cwd
      )
  end
  local file = M.file_of(buf)
  if file and not M.is_below(file, cwd) then
    return nil,
      ('%s is in no project (no %s above it) and not below %s. Please :cd into its folder'):format(
        file,
        table.concat(config.options.root_markers, ' or '),
        cwd
      )
  end
  return vim.fs.normalize(vim.fs.root(cwd, config.options.root_markers) or cwd)
end

return M
