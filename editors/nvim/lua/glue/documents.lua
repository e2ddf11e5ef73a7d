---Both sides of a change as documents that can be read: glue-base: and glue-sandbox:.
local async = require('glue.async')
local client_module = require('glue.client')
local ui = require('glue.ui')

local M = {}

---@param side 'base'|'sandbox'
---@param session string
---@param path string relative to the tree's root
function M.uri(side, session, path)
  local function encode(text)
    return (text:gsub('[^%w%-._~/]', function(c)
      return ('%%%02X'):format(c:byte())
    end))
  end
  return ('glue-%s:/%s/%s'):format(side, encode(session), encode(path))
end

---The text of one side; nil and an error where it has none that can be shown.
---@param client vim.lsp.Client
---@param uri string
---@return string? text
---@return glue.Failure? err
function M.text(client, uri)
  local result, err = client_module.request(client, 'workspace/textDocumentContent', { uri = uri })
  return result and result.text, err
end

---@param text string
---@return string[]
function M.lines(text)
  local lines = vim.split(text, '\n', { plain = true })
  if #lines > 1 and lines[#lines] == '' then
    lines[#lines] = nil
  end
  for i, line in ipairs(lines) do
    lines[i] = line:gsub('\r$', '')
  end
  return lines
end

---Colours a buffer as a file of that name would be. No plugin of that kind of file starts: the
---text is a sandbox's.
---@param buf integer
---@param path string
function M.colour(buf, path)
  local kind = vim.filetype.match({ filename = path })
  if kind then
    vim.bo[buf].syntax = kind
  end
end

---@param buf integer
---@param uri string
---@param done? fun()
function M.load(buf, uri, done)
  async.run(function()
    local session = uri:match('^glue%-%a+:/+([^/]+)/')
    local text, err
    for _, client in ipairs(client_module.all()) do
      if client_module.ready(client) then
        text, err = M.text(client, uri)
        if text then
          break
        end
      end
    end
    if not vim.api.nvim_buf_is_valid(buf) then
      return
    end
    vim.bo[buf].modeline = false
    vim.bo[buf].buftype = 'nofile'
    vim.bo[buf].swapfile = false
    if text then
      ui.set_lines(buf, M.lines(text))
    elseif err and err.data and err.data.kind == 'fileNotFound' then
      ui.set_lines(buf, {}) -- the file is not there on this side
    else
      ui.set_lines(buf, {})
      if err then
        client_module.tell('Showing ' .. uri, err)
      else
        ui.error(
          ('glue-lsp is not running, so %s cannot be read (session %s)'):format(uri, session)
        )
      end
    end
    vim.bo[buf].readonly = true
    M.colour(buf, vim.uri_decode(uri))
    if done then
      done()
    end
  end)
end

---A buffer with one side of a change, filled.
---@param uri string
---@return integer
function M.open(uri)
  local buf = vim.fn.bufadd(uri)
  vim.b[buf].glue_loading = true -- reading it is not left to the autocommand
  vim.fn.bufload(buf)
  async.await(function(callback)
    M.load(buf, uri, callback)
  end)
  vim.b[buf].glue_loading = nil
  vim.bo[buf].bufhidden = 'wipe'
  return buf
end

---Called when such a name is edited.
---@param buf integer
---@param uri string
function M.read(buf, uri)
  vim.bo[buf].modeline = false
  if not vim.b[buf].glue_loading then
    M.load(buf, uri)
  end
end

return M
