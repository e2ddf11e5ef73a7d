-- Neovim is left in the middle of a command; what it did is offered at the next start.
local t = ...

t.repository('shop', { ['list.txt'] = 'one\n' })
local e = t.start({ cwd = 'shop', args = { 'list.txt' } })
e:ready()
e:command('GlueRun echo two >> list.txt; echo ready; sleep 600')
e:output('ready')
e:command('qall')
e:answer('1 command in the sandbox will be ended', 'c')
e:wait('to have stayed', [[return #require('glue.run').running() == 1]])
t.eq(e:lua([[return #vim.api.nvim_list_wins()]]), 2, 'windows after cancelling')
e:command('qall')
e:answer('Leave?', 'l')
e:ended()
t.eq(t.read('shop/list.txt'), 'one\n', 'the file')

-- At once: the sandbox may still be ending, which in the cloud takes a moment.
local again = t.start({ cwd = 'shop', args = { 'list.txt' } })
again:told('1 changed file did not come back')
t.eq(again:lua([[return vim.api.nvim_get_mode().blocking]]), false, 'the offer asks for nothing')
again:command('GlueSessions')
again:sees('ended  1 changed file')
again:type('<CR>')
again:sees('M  list.txt')
again:type('R')
again:answer('Bring back 1 changed file?', 'r')
again:told('1 file returned')
t.eq(t.read('shop/list.txt'), 'one\ntwo\n', 'the file')
again:wait(
  'the buffer to be as the file',
  [[
  return vim.deep_equal(vim.api.nvim_buf_get_lines(vim.fn.bufnr('list.txt'), 0, -1, false), { 'one', 'two' })
]]
)
t.eq(again:lua([[return vim.bo[vim.fn.bufnr('list.txt')].modified]]), false, 'nothing is unsaved')
again:forget_messages()
again:command('GlueUndo')
again:told('1 file taken back')
t.eq(t.read('shop/list.txt'), 'one\n', 'the file after undoing')
again:forget_messages()
again:command('GlueReturn!')
again:told('1 file returned')
t.eq(t.read('shop/list.txt'), 'one\ntwo\n', 'the file')
again:quit()

local last = t.start({ cwd = 'shop', args = { 'list.txt' } })
last:ready()
last:command('GlueSessions')
last:told('there are no sessions')
t.lacks(last:lua([[return vim.fn.execute('messages')]]), 'did not come back', 'nothing is offered')
last:quit()
