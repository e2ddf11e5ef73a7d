---Work that waits: coroutines that are resumed by callbacks.
local M = {}

---@param co thread
local function step(co, ...)
  local ok, err = coroutine.resume(co, ...)
  if not ok then
    vim.schedule(function()
      vim.notify('glue: ' .. debug.traceback(co, tostring(err)), vim.log.levels.ERROR)
    end)
  end
end

---Starts work that may wait.
---@param work fun()
function M.run(work)
  step(coroutine.create(work))
end

---Waits for a callback. start gets it, and may call it at once; further calls do nothing.
---@param start fun(callback: fun(...))
function M.await(start)
  local co = assert(coroutine.running(), 'glue: only inside of async.run')
  local answer, waiting
  start(function(...)
    if answer then
      return
    end
    answer = vim.F.pack_len(...)
    if waiting then
      vim.schedule(function()
        step(co, vim.F.unpack_len(answer))
      end)
    end
  end)
  if answer then
    return vim.F.unpack_len(answer)
  end
  waiting = true
  return coroutine.yield()
end

---Lets a person choose, by whatever they have for that. nil is no choice.
---@generic T
---@param items T[]
---@param prompt string
---@param show fun(item: T): string
---@return T?
function M.select(items, prompt, show)
  return M.await(function(callback)
    vim.ui.select(items, { prompt = prompt, format_item = show }, function(item)
      callback(item)
    end)
  end)
end

return M
