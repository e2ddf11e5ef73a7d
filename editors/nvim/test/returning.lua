-- What a return asks, what it does to buffers, and what is settled by hand.
local t = ...

local files = {
  ['clean.txt'] = 'one\n',
  ['dos.txt'] = 'one\r\ntwo\r\n',
  ['noeol.txt'] = 'one\ntwo',
  ['gone.txt'] = 'one\n',
  ['old-name.txt'] = 'a\nb\nc\nd\n',
  ['mine.txt'] = 'first\nsecond\nthird\n',
  ['both.txt'] = 'first\nsecond\nthird\n',
  ['logo.bin'] = 'a\0b\n',
  ['LICENSE'] = 'free\n',
}
for i = 1, 60 do
  files['many/' .. i] = i .. '\n'
end
t.repository('shop', files)
local e = t.start({ cwd = 'shop', args = { 'clean.txt' } })
e:ready()
local function open(name)
  e:lua([[vim.cmd.edit(...)]], name)
end
for _, name in ipairs({
  'dos.txt',
  'noeol.txt',
  'gone.txt',
  'old-name.txt',
  'both.txt',
  'LICENSE',
  'mine.txt',
}) do
  open(name)
end
-- Unsaved, also in a file of no known kind.
e:lua([[vim.api.nvim_buf_set_lines(vim.fn.bufnr('LICENSE'), -1, -1, false, { 'as in beer' })]])
e:lua([[vim.api.nvim_buf_set_lines(vim.fn.bufnr('mine.txt'), 0, 1, false, { 'FIRST' })]])

e:command(
  'GlueRun cat LICENSE; echo two >> clean.txt; printf "one\\ntwo\\nthree\\n" > dos.txt; printf three >> noeol.txt; rm gone.txt; '
    .. 'git mv old-name.txt new-name.txt; sed -i s/third/THIRD/ mine.txt; printf "a\\0c\\n" > logo.bin; chmod +x logo.bin; '
    .. 'mkdir -p .vscode; echo {} > .vscode/tasks.json'
)
e:told('changed files: :GlueReturn')
t.has(e:output('as in beer'), 'as in beer', 'unsaved text of a file without a file type')

e:command('GlueReturn')
e:answer('Bring back 7 changed files?', 's')
e:sees('what the sandbox changed')
t.has(e:screen(), 'D  gone.txt', 'the list')
t.has(e:screen(), 'old-name.txt → new-name.txt', 'the list')
t.has(e:screen(), 'binary, mode 0644 → 0755', 'the list')
t.has(e:screen(), 'acts when the folder is opened', 'the list')
t.eq(t.read('shop/clean.txt'), 'one\n', 'showing returns nothing')
e:type('R')
e:answer('Bring back 7 changed files?', 'r')
e:answer('tasks.json was left in the sandbox', '\r') -- <Enter> is a no
e:told('7 files returned')

t.eq(t.read('shop/clean.txt'), 'one\ntwo\n', 'a clean buffer’s file')
t.eq(e:lines('shop/clean.txt'), { 'one', 'two' }, 'a clean buffer')
t.eq(t.read('shop/dos.txt'), 'one\ntwo\nthree\n', 'line ends that the sandbox changed')
t.eq(
  e:lua([[return vim.bo[vim.fn.bufnr('dos.txt')].fileformat]]),
  'unix',
  'the buffer knows its line ends'
)
t.eq(t.read('shop/noeol.txt'), 'one\ntwothree', 'no line end is added')
t.eq(t.read('shop/gone.txt'), nil, 'a deleted file')
t.eq(e:lines('shop/gone.txt'), nil, 'the buffer of a deleted file')
t.eq(t.read('shop/old-name.txt'), nil, 'the old name')
t.eq(t.read('shop/new-name.txt'), 'a\nb\nc\nd\n', 'the new name')
t.eq(e:lines('shop/mine.txt'), { 'FIRST', 'second', 'THIRD' }, 'the buffer has both')
t.eq(t.read('shop/mine.txt'), 'first\nsecond\nthird\n', 'unsaved text is not saved')
t.eq(t.read('shop/logo.bin'), 'a\0c\n', 'a binary file')
t.eq(bit.band(vim.uv.fs_stat(t.path('shop/logo.bin')).mode, 73), 73, 'its mode')
t.eq(t.read('shop/.vscode/tasks.json'), nil, 'a file that acts by itself')
t.eq(
  e:lua([[
    local unsaved = {}
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      if vim.bo[buf].modified then
        unsaved[#unsaved + 1] = vim.fs.basename(vim.api.nvim_buf_get_name(buf))
      end
    end
    table.sort(unsaved)
    return unsaved
  ]]),
  { 'LICENSE', 'mine.txt' },
  'buffers with unsaved text'
)

-- The file that acts by itself, by name and with a yes.
e:forget_messages()
e:command('GlueReturn')
e:answer('tasks.json was left in the sandbox', 'y')
e:told('1 file returned')
t.eq(t.read('shop/.vscode/tasks.json'), '{}\n', 'the file that was confirmed')

-- A conflict: three panes, and the result is what is written.
e:lua([[vim.cmd('silent wall')]])
e:command('GlueRun sed -i s/second/theirs/ both.txt; echo more >> clean.txt')
e:told('2 changed files: :GlueReturn')
e:forget_messages()
e:lua([[vim.api.nvim_buf_set_lines(vim.fn.bufnr('both.txt'), 1, 2, false, { 'my own' })]])
e:command('GlueReturn! both.txt')
e:told('changed on both sides: both.txt')
e:wait('three panes', [[return #vim.api.nvim_tabpage_list_wins(0) == 3 and vim.wo.diff]])
t.eq(e:lines('glue://merge/both.txt'), {
  'first',
  '<<<<<<< mine',
  'my own',
  '||||||| before',
  'second',
  '=======',
  'theirs',
  '>>>>>>> sandbox',
  'third',
}, 'the result before it is edited')
e:command('w')
e:told('still has a conflict marker')
e:lua([[vim.api.nvim_buf_set_lines(0, 1, 8, false, { 'my own and theirs' })]])
-- Asked for again, it is the merge that was begun, in its tab or after that was closed.
local panes = [[return #vim.api.nvim_tabpage_list_wins(0) == 3 and vim.wo.diff]]
for _, away in ipairs({ 'tabfirst', 'tabclose' }) do
  e:command(away)
  e:wait('the first tab', [[return vim.fn.tabpagenr() == 1]])
  e:command('GlueConflicts')
  e:wait('the merge after ' .. away, panes)
  t.eq(e:lua([[return #vim.api.nvim_list_tabpages()]]), 2, 'tabs after ' .. away)
  t.eq(
    e:lua([[return vim.api.nvim_buf_get_lines(0, 0, -1, false)]]),
    { 'first', 'my own and theirs', 'third' },
    'the result after ' .. away
  )
end
-- A copy settles nothing, and what was typed into mine meanwhile is not overwritten.
e:command('w ' .. t.path('copy.txt'))
e:told('a copy is in')
t.eq(t.read('copy.txt'), 'first\nmy own and theirs\nthird\n', 'the copy')
t.eq(e:lines('shop/both.txt'), { 'first', 'my own', 'third' }, 'mine after the copy')
e:lua(
  [[vim.api.nvim_buf_set_lines(vim.fn.bufnr('^' .. vim.fn.getcwd() .. '/both.txt$'), -1, -1, false, { 'typed late' })]]
)
e:command('w')
e:answer('was changed since this merge began', '\r')
t.eq(
  e:lines('shop/both.txt'),
  { 'first', 'my own', 'third', 'typed late' },
  'mine after it was not settled'
)
e:command('w')
e:answer('was changed since this merge began', 'm')
e:told('merged again')
e:command('w')
e:told('both.txt is settled')
e:wait('one tab', [[return #vim.api.nvim_list_tabpages() == 1]])
t.eq(
  e:lines('shop/both.txt'),
  { 'first', 'my own and theirs', 'third', 'typed late' },
  'the buffer after it'
)
t.eq(t.read('shop/both.txt'), 'first\nsecond\nthird\n', 'unsaved text is not saved')
t.eq(t.read('shop/clean.txt'), 'one\ntwo\n', 'what was not named stays in the sandbox')

-- What is no change is not thrown away, and nothing else is instead of it.
e:forget_messages()
e:command('GlueDiscard! /etc/hosts')
e:told('/etc/hosts is not in the tree of the sandbox')
e:command('GlueDiscard! clean.txt nothing.txt')
e:told('the sandbox has no change of nothing.txt')
e:command('edit noeol.txt')
e:command('GlueDiscard! %')
e:told('the sandbox has no change of noeol.txt')
e:lua([[vim.cmd('help') vim.cmd('GlueDiscard! %') vim.cmd('close')]])
e:told('% is not in the tree of the sandbox')
t.eq(
  e:lua(
    [[return require('glue.sessions').open_one(require('glue.client').all()[1]).checkpoint.changedFiles]]
  ),
  1,
  'changes that are left'
)

-- Thrown away, after a question.
e:forget_messages()
e:command('GlueDiscard clean.txt')
e:answer('Throw away clean.txt?', 't')
e:told('1 change thrown away')
e:forget_messages()
e:command('GlueReturn')
e:told('nothing was to be returned')
t.eq(t.read('shop/clean.txt'), 'one\ntwo\n', 'the file')

-- A name with characters that mean something to Neovim.
e:lua([[vim.cmd('silent wall')]])
e:command([[GlueRun printf 'odd\n' > 'odd #1 %.txt']])
e:told('1 changed file: :GlueReturn')
e:command('GlueDiff odd #1 %.txt')
e:wait(
  'both sides',
  [[
  return vim.wo.diff and vim.api.nvim_buf_get_lines(0, 0, -1, false)[1] == 'odd'
]]
)
e:forget_messages()
t.eq(
  e:lua([[return vim.fn.getcompletion('GlueReturn odd', 'cmdline')]]),
  { [[odd\ #1\ %.txt]] },
  'completion'
)
e:command('GlueReturn! %')
e:told('1 file returned')
t.eq(t.read('shop/odd #1 %.txt'), 'odd\n', 'the file with the odd name')
e:command('tabonly')

-- % is the file of a buffer too, and a name has its white space escaped.
e:command([[GlueRun echo 2 >> 'odd #1 %.txt'; echo 2 >> noeol.txt; echo 2 >> LICENSE]])
e:told('3 changed files: :GlueReturn')
e:forget_messages()
e:command('edit noeol.txt')
e:command('GlueReturn! %')
e:told('1 file returned')
t.has(t.read('shop/noeol.txt'), 'three2\n', 'the buffer’s file')
t.eq(t.read('shop/odd #1 %.txt'), 'odd\n', 'another file')
e:forget_messages()
e:command([[GlueReturn! odd\ #1\ %.txt]])
e:told('1 file returned')
t.eq(t.read('shop/odd #1 %.txt'), 'odd\n2\n', 'the file with the odd name')

-- What comes is what was shown: here a command changes more before the question is answered.
e:lua([[
  function Between(command)
    local real = vim.fn.confirm
    vim.fn.confirm = function(...)
      vim.fn.confirm = real
      local run = require('glue.run')
      run.start(0, { command = command })
      vim.wait(20000, function() return #run.running() == 0 end, 20)
      return real(...)
    end
  end
]])
e:forget_messages()
e:lua([[Between('echo late > late.txt')]])
e:command('GlueReturn')
e:answer('M  LICENSE', 'r')
e:told('1 file returned')
t.eq(t.read('shop/late.txt'), nil, 'a file that was not shown')
t.has(t.read('shop/LICENSE'), '2\n', 'the file that was shown')
e:forget_messages()
e:lua([[Between('rm late.txt && ln -s plain late.txt')]])
e:command('GlueReturn')
e:answer('A  late.txt   +1', 'r')
e:answer('A  late.txt   symlink', 'c')
t.eq(vim.uv.fs_lstat(t.path('shop/late.txt')), nil, 'a file that became a link')
e:command('GlueDiscard!')
e:told('1 change thrown away')

-- Most files deleted.
e:lua([[vim.cmd('silent wall')]])
e:command('GlueRun rm -rf many clean.txt')
e:told('changed files: :GlueReturn')
e:forget_messages()
e:command('GlueReturn')
e:answer('more than half', '\r')
e:lua('return 1')
t.eq(t.read('shop/clean.txt'), 'one\ntwo\n', 'the files after a no')
e:command('GlueReturn')
e:answer('more than half', 'd')
e:answer('Bring back', 'r')
e:told('files returned')
t.eq(t.read('shop/clean.txt'), nil, 'the files after a yes')
e:forget_messages()
e:command('GlueUndo')
e:told('taken back')
t.eq(t.read('shop/clean.txt'), 'one\ntwo\n', 'the files after undoing')
e:command('GlueClose')
e:told('the sandbox is closed; :GlueSessions has its changes')
