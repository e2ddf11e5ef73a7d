---Carries output of commands from the server to whoever shows it. What was shown is
---acknowledged, and until then the server holds the command back.
local client_module = require('glue.client')

local M = {}

---How much may be on its way: enough for a round trip, little enough to stay responsive.
M.window = 256 * 1024

---@class glue.Sink
---@field client_id integer
---@field take fun(bytes: string) shows a piece, and calls M.shown when it did

---@type table<string, glue.Sink>
local sinks = {}
local last = 0

---A name for a command that no other command on the server has.
function M.new_id()
  last = last + 1
  return ('nvim-%d-%x-%d'):format(vim.uv.os_getpid(), vim.uv.hrtime(), last)
end

---@param id string
---@param sink glue.Sink
function M.add(id, sink)
  sinks[id] = sink
end

---@param id string
function M.remove(id)
  sinks[id] = nil
end

---@param payload { data: string, encoding: string }
---@return string bytes
function M.bytes(payload)
  if payload.encoding == 'base64' then
    return vim.base64.decode(payload.data)
  end
  return payload.data
end

-- What may follow a first byte (The Unicode Standard, table 3-7).
local sequences = {
  '^[\194-\223][\128-\191]()',
  '^\224[\160-\191][\128-\191]()',
  '^[\225-\236\238\239][\128-\191][\128-\191]()',
  '^\237[\128-\159][\128-\191]()',
  '^\240[\144-\191][\128-\191][\128-\191]()',
  '^[\241-\243][\128-\191][\128-\191][\128-\191]()',
  '^\244[\128-\143][\128-\191][\128-\191]()',
}

---@param bytes string
local function is_utf8(bytes)
  local at = bytes:find('[\128-\255]')
  while at do
    local after
    for _, pattern in ipairs(sequences) do
      after = bytes:match(pattern, at)
      if after then
        break
      end
    end
    if not after then
      return false
    end
    at = bytes:find('[\128-\255]', after)
  end
  return true
end

---Bytes as the server takes them: a string of JSON has to be UTF-8.
---@param bytes string
---@return string data
---@return string encoding
function M.payload(bytes)
  if is_utf8(bytes) then
    return bytes, 'utf-8'
  end
  return vim.base64.encode(bytes), 'base64'
end

function M.output(params, client_id)
  local sink = sinks[params.execId]
  local ok, bytes = pcall(M.bytes, params)
  if sink and ok then
    sink.client_id = client_id
    sink.take(bytes)
  end
end

---Acknowledges what was shown.
---@param id string
---@param bytes integer
function M.shown(id, bytes)
  local sink = sinks[id]
  local client = sink and vim.lsp.get_client_by_id(sink.client_id)
  if client and bytes > 0 then
    client_module.notify(client, 'glue/exec/ack', { execId = id, bytes = bytes })
  end
end

return M
