-- A terminal in the sandbox: keys, size, Ctrl-C, its end; and what output may not do.
local t = ...

t.repository('shop', { ['list.txt'] = 'one\n' })
local e = t.start({ cwd = 'shop', args = { 'list.txt' } })
e:ready()
e:lua([[
  vim.g.copied = 0
  vim.g.clipboard = {
    name = 'test',
    copy = { ['+'] = function() vim.g.copied = vim.g.copied + 1 end, ['*'] = function() vim.g.copied = vim.g.copied + 1 end },
    paste = { ['+'] = function() return {} end, ['*'] = function() return {} end },
  }
  vim.g.requests = 0
  vim.api.nvim_create_autocmd('TermRequest', { callback = function() vim.g.requests = vim.g.requests + 1 end })
]])

e:command('GlueTerm sh')
e:wait('terminal mode', [[return vim.api.nvim_get_mode().mode == 't']])
e:type('echo "in: $((6*7))"\r')
e:sees('in: 42')
e:type('printf "\\033]52;c;c3RvbGVu\\007\\033]7;file:///etc\\007\\033]0;title\\007af""ter\\n"\r')
e:sees('after\n')
t.eq(e:lua([[return { vim.g.copied, vim.g.requests }]]), { 0, 0 }, 'what escapes reached')
e:type('echo sl""eeping; sleep 600\r')
e:sees('sleeping\n')
e:type('<C-c>')
e:sees('^C')
e:type('echo back-$((1+1))\r')
e:sees('back-2')
e:type('tput colors; printf "\\033[32mgreen\\033[0m\\n"; stty size\r')
e:sees('green')
local rows = e:lua([[
  local win = vim.fn.win_findbuf(vim.api.nvim_get_current_buf())[1]
  local info = vim.fn.getwininfo(win)[1]
  return { info.height, info.width - info.textoff }
]])
e:sees(('%d %d'):format(rows[1], rows[2]), 'the size of the window')
e:lua([[vim.cmd('resize 12')]])
local new = e:lua([[return vim.fn.getwininfo(vim.api.nvim_get_current_win())[1].height]])
t.eq(new < rows[1], true, 'the window is smaller')
t.wait('the terminal to have the new size', function()
  e:type('stty size\r')
  vim.wait(100)
  return e:screen():find(('\n%d %d'):format(new, rows[2]), 1, true)
end, function()
  return e:screen()
end)
-- A flood, and the way out of it.
e:type('yes\r')
e:sees('y\ny\ny\ny')
-- Pressed until it works: an editor that draws takes it for an interrupt.
t.wait('the flood to end', function()
  e:type('<C-c>')
  vim.wait(200)
  return e:screen():find('^C\n', 1, true)
end, function()
  return e:screen()
end)
e:type('echo still-$((2+2))\r')
e:sees('still-4')
e:type('echo two >> list.txt; exit 7\r')
e:sees('[ended with status 7]')
e:told('1 changed file: :GlueDiff')
e:wait('normal mode', [[return vim.api.nvim_get_mode().mode ~= 't']])

-- It goes on when its server crashed. A sandbox in the cloud does not, but what it changed is kept.
e:command('GlueTerm')
e:wait('terminal mode', [[return vim.api.nvim_get_mode().mode == 't']])
e:type('word=kept; echo has-$word\r')
e:sees('has-kept')
vim.uv.kill(e:server_pid(), 'sigkill')
e:told('is started again')
e:wait(
  'the terminal to be followed again',
  [[
  local detached = require('glue.term').detached(require('glue.client').root_of(require('glue.client').all()[1]))
  return #detached == 0 and require('glue.sessions').open_one(require('glue.client').all()[1]) ~= nil
]]
)
if t.runtime == 'local' then
  e:type('echo still-$word\r')
  e:sees('still-kept')
  e:type('exit 5\r')
  e:sees('[ended with status 5]')
else
  e:sees('[ended with its sandbox]')
end

-- Neovim is not left, and the server not started again, in the middle of one without a question.
e:command('GlueTerm sleep 600')
e:wait('terminal mode', [[return vim.api.nvim_get_mode().mode == 't']])
e:wait(
  'the command',
  [[
  local info = require('glue.sessions').open_one(require('glue.client').all()[1])
  return info and #info.execs == 1
]]
)
e:type('<C-\\><C-n>')
e:command('qall')
e:answer('1 terminal in the sandbox will be ended', 'c')
e:command('GlueRestart')
e:answer('1 terminal in the sandbox will be ended', '\r')
t.eq(e:lua([[return require('glue.term').open_count()]]), 1, 'terminals after two answers')
e:command('GlueRestart')
e:answer('1 terminal in the sandbox will be ended', 'r')
e:told('glue-lsp runs on')
t.eq(e:lua([[return require('glue.term').open_count()]]), 0, 'terminals after the restart')

-- Wiping the buffer out ends what runs in it.
e:command('GlueTerm')
e:wait('terminal mode', [[return vim.api.nvim_get_mode().mode == 't']])
e:type('echo shell-$((3+3))\r')
e:sees('shell-6')
e:type('<C-\\><C-n>')
e:command('bwipeout!')
e:wait(
  'nothing to run',
  [[
  local client = require('glue.client').all()[1]
  local info = require('glue.sessions').open_one(client)
  return #info.execs == 0 and require('glue.term').open_count() == 0
]]
)
