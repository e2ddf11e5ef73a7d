-- The main job: a dirty repository, an edit that is not saved, its test, output while it comes,
-- a changed file's difference, and the return into the buffer with the unsaved edit.
local t = ...

t.repository('shop', {
  ['price.sh'] = '#!/bin/sh\n# prices\ncents=200\necho "cents: $cents"\n\n\n\n\n# end\n',
  ['list.txt'] = 'one\ntwo\n',
  ['Makefile'] = 'test:\n\tsh test.sh\n',
  ['test.sh'] = 'set -e\n'
    .. '. ./price.sh\n'
    .. 'echo waiting\n'
    .. 'n=0\n'
    .. 'while [ ! -e go-on ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done\n'
    .. 'echo "price.sh:3: checked"\n'
    .. "sed -i 's/# end/# the end/' price.sh\n"
    .. 'echo three >> list.txt\n'
    .. 'echo made > made.txt\n',
})
t.write('shop/list.txt', 'one\ntwo and a half\n') -- not committed

local e = t.start({ cwd = 'shop', args = { 'price.sh' } })
e:ready()
e:type('jj0f2r3') -- cents=300, not saved
e:wait('the edit', [[return vim.bo.modified]])

e:command('GlueRun make test')
local lines = e:output('waiting')
t.has(lines, 'cents: 300', 'the unsaved edit is in the sandbox')
e:sees('waiting', 'output on the screen while the command runs')
t.eq(e:lua([[return #require('glue.run').running()]]), 1, 'commands that run')
t.has(e:lua([[return require('glue').status()]]), 'running', 'the status')
-- It waits for a file that the person makes, which a command in another terminal of the sandbox
-- would see; a second run brings it in.
e:command('GlueRun touch go-on')
e:told('make test: done')
t.eq(e:lua([[return #require('glue.run').running()]]), 0, 'commands that run')
t.has(
  e:lua([[
    local item = vim.fn.getqflist()[1]
    return item and vim.fn.bufname(item.bufnr) .. ':' .. item.lnum or 'nothing'
  ]]),
  'price.sh:3',
  'the quickfix list'
)
t.eq(t.read('shop/list.txt'), 'one\ntwo and a half\n', 'nothing has come back yet')

e:command('GlueDiff')
e:sees('M  list.txt')
e:sees('A  made.txt')
e:type('q')
e:command('GlueDiff list.txt')
e:wait('both sides', [[return #vim.api.nvim_tabpage_list_wins(0) == 2 and vim.wo.diff]])
e:sees('three')
t.eq(
  e:lua([[
    local sides = {}
    for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
      sides[#sides + 1] = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(win), 0, -1, false)
    end
    return sides
  ]]),
  { { 'one', 'two and a half' }, { 'one', 'two and a half', 'three' } },
  'the two sides'
)
e:type('q')
e:wait('one tab', [[return #vim.api.nvim_list_tabpages() == 1]])

e:command('GlueReturn')
e:answer('Bring back 4 changed files?', 'r')
e:told('4 files returned')
t.eq(
  e:lines('shop/price.sh'),
  { '#!/bin/sh', '# prices', 'cents=300', 'echo "cents: $cents"', '', '', '', '', '# the end' },
  'the buffer has both edits'
)
t.eq(e:lua([[return vim.bo[vim.fn.bufnr('price.sh')].modified]]), true, 'what was unsaved stays so')
t.has(t.read('shop/price.sh'), 'cents=200', 'the file of the unsaved buffer')
t.eq(t.read('shop/list.txt'), 'one\ntwo and a half\nthree\n', 'a closed file')
t.eq(t.read('shop/made.txt'), 'made\n', 'a new file')

e:forget_messages()
e:command('GlueUndo')
e:told('4 files taken back')
t.eq(t.read('shop/list.txt'), 'one\ntwo and a half\n', 'the closed file')
t.eq(t.read('shop/made.txt'), nil, 'the new file')
t.has(e:lines('shop/price.sh'), 'cents=300', 'the person’s edit')
t.has(e:lines('shop/price.sh'), '# end', 'the buffer')
e:quit()
