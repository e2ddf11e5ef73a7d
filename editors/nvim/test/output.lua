-- Output that is hostile, endless or long; cancelling; what can be run and how.
local t = ...

t.repository('shop', {
  ['test_price.py'] = table.concat({
    'import unittest',
    '',
    '',
    'class Price(unittest.TestCase):',
    '    def test_one(self):',
    '        print("é one")',
    '',
    '    def test_two(self):',
    '        print("two")',
    '',
    '',
    'if __name__ == "__main__":',
    '    unittest.main()',
    '',
  }, '\n'),
  ['plain.txt'] = 'one\n',
})
t.write('outside/secret.txt', 'x\n')
vim.uv.fs_symlink(t.path('outside/secret.txt'), t.path('shop/way-out.txt'))
t.write(
  'shop/hostile.sh',
  table.concat({
    [[printf '\033]52;c;c3RvbGVu\007one\n']],
    [[printf '\033[2J\033[1;31mtwo\033[0m\n']],
    [[printf 'three\rTHREE\n']],
    [[printf '\033P+q\033\\four \302\2330K\000\001\177five\n']],
    [[printf 'bad \377\376 bytes\n']],
    [[printf '/etc/passwd:1:1: look\n../outside/secret.txt:1:1: look\nway-out.txt:1:1: look\n']],
    [[printf 'plain.txt:1:2: here\n']],
    [[printf '%s\n' '%{execute("let g:hacked = 1")}' ':let g:hacked = 1' 'vim: set ft=lua fdm=expr:']],
    [[printf 'no end']],
  }, '\n')
)

local e =
  t.start({ cwd = 'shop', args = { 'plain.txt' }, init = 'vim.g.before = vim.fn.getreg("+")' })
e:ready()

e:command('GlueRun sh hostile.sh # %{execute("let g:hacked = 1")}')
e:told('sh hostile.sh')
local lines = e:output('no end')
t.eq(
  vim.list_slice(lines, 1, 5),
  { 'one', 'two', 'THREE', 'four five', 'bad \255\254 bytes' },
  'the output'
)
t.has(lines, '[done after', 'the last line')
t.eq(e:lua([[return vim.g.hacked == nil]]), true, 'nothing of it was executed')
t.eq(
  e:lua([[
    return vim.tbl_map(function(item)
      return { vim.fs.basename(vim.fn.bufname(item.bufnr)), item.lnum, item.col }
    end, vim.fn.getqflist())
  ]]),
  { { 'plain.txt', 1, 2 } },
  'locations inside of the folder'
)

-- <CR> on a line goes to the file on the host.
e:lua([[
  for _, win in ipairs(vim.api.nvim_list_wins()) do
    local buf = vim.api.nvim_win_get_buf(win)
    if vim.bo[buf].filetype == 'glue-output' then
      vim.api.nvim_set_current_win(win)
      for i, line in ipairs(vim.api.nvim_buf_get_lines(buf, 0, -1, false)) do
        if line:find('^plain.txt') then
          vim.api.nvim_win_set_cursor(win, { i, 0 })
        end
      end
    end
  end
]])
e:type('<CR>')
e:wait(
  'the file',
  [[return vim.fs.basename(vim.api.nvim_buf_get_name(0)) == 'plain.txt' and vim.fn.col('.') == 2]]
)

-- A flood: the editor answers while it comes, keeps a bounded part, and can end it.
e:forget_messages()
e:command('GlueRun yes flood-flood-flood')
e:output('flood')
for i = 1, 20 do
  t.eq(e:lua([[return #require('glue.run').running()]]), 1, 'the flood during answer ' .. i)
end
e:command('GlueCancel')
e:output('[cancelled]')
t.eq(e:lua([[return #require('glue.run').running()]]), 0, 'commands that run')
t.eq(
  e:lua([[
    local most = 0
    for _, buf in ipairs(vim.api.nvim_list_bufs()) do
      most = math.max(most, vim.api.nvim_buf_line_count(buf))
    end
    return most <= require('glue.config').options.output_lines + 2
  ]]),
  true,
  'the lines that are kept are bounded'
)

-- A line that begins with a carriage return and never ends is no progress bar.
e:command([[GlueRun printf '\r'; yes | tr -d '\n']])
e:wait(
  'many lines of it',
  [[
  local run = require('glue.run').running()[1]
  return run and vim.api.nvim_buf_line_count(run.output.buf) > 200
]]
)
t.eq(
  e:lua([[
    local longest = 0
    for _, line in ipairs(vim.api.nvim_buf_get_lines(require('glue.run').running()[1].output.buf, 0, -1, false)) do
      longest = math.max(longest, #line)
    end
    return longest <= 4096
  ]]),
  true,
  'the lines are bounded'
)
e:command('GlueCancel')
e:output('[cancelled]')

-- One line without an end, and <C-c> in the output's window.
e:command('GlueRun head -c 300000 /dev/zero | tr "\\0" x; sleep 600')
e:wait(
  'all of the long line',
  [[
  local total = 0
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_get_name(buf):find('glue://output/head', 1, true) then
      for _, line in ipairs(vim.api.nvim_buf_get_lines(buf, 0, -1, false)) do
        total = total + (line:find('^x+$') and #line or 0)
      end
    end
  end
  return total == 300000
]]
)
e:type('<C-w>b')
e:wait('the window of the output', [[return vim.bo.filetype == 'glue-output']])
-- Pressed until it works: Neovim takes it for an interrupt while it is busy.
t.wait('the command to be cancelled', function()
  e:type('<C-c>')
  vim.wait(50)
  return e:screen():find('[cancelled]', 1, true)
end, function()
  return e:screen()
end)
e:type('q')

-- What is at the cursor, the lens, the code action, a selection, and again.
e:command('edit test_price.py')
e:sees('Run in sandbox')
e:command('call cursor(9, 1)')
e:command('GlueRun')
e:told('Price::test_two in …: done')
t.lacks(e:output('Ran 1 test'), 'é one', 'only the test at the cursor ran')
e:forget_messages()
e:command('call cursor(5, 1)')
e:wait(
  'the lens of the line',
  [[
  vim.lsp.codelens.run()
  return #require('glue.run').running() > 0
]]
)
e:told('done after')
t.has(e:output('Ran 1 test'), 'é one', 'the lens runs its test')
e:forget_messages()
e:lua([[
  vim.lsp.buf.code_action({ filter = function(action) return action.title:find('test_price.py') ~= nil end, apply = true })
]])
e:told('test_price.py: done')
t.has(e:output('Ran 2 tests'), 'é one', 'the code action runs the file')
e:forget_messages()
e:lua([[vim.api.nvim_buf_set_lines(0, -1, -1, false, { 'print("sele" + "ction")' })]])
e:command('$GlueRun')
e:told('selection of test_p…: done')
t.has(e:output('selection'), 'selection', 'the lines that were given')
e:forget_messages()
e:command('edit! plain.txt')
e:command('GlueRun')
e:told('selection of test_p…')

-- A command that fails says how.
e:forget_messages()
e:command('GlueRun exit 3')
e:told('exit 3: ended with status 3')
t.eq(
  e:lua([[return vim.fn.getcompletion('GlueRe', 'command')]]),
  { 'GlueRestart', 'GlueReturn' },
  'completion'
)
