-- A server that is missing, another one, or killed; folders that are no projects; two editors.
local t = ...

t.repository('shop', { ['list.txt'] = 'one\n' })

-- No server.
local missing = t.start({
  cwd = 'shop',
  args = { 'list.txt' },
  start = 'require("glue").setup{ cmd = { "no-such-glue-lsp" } }',
})
missing:told('no-such-glue-lsp is not on your PATH')
local said = missing:told('checkhealth glue')
local _, times = said:gsub('not on your PATH', '')
t.eq(times, 1, 'how often it is said on starting')
missing:command('GlueRun true')
missing:wait(
  'to be told again on asking',
  [[
  local _, n = vim.fn.execute('messages'):gsub('not on your PATH', '')
  return n == 2
]]
)
missing:command('checkhealth glue')
missing:sees('no-such-glue-lsp is not on your PATH')
missing:quit()

-- A program that is something else, and a server of another version.
local function server(name, answer)
  return t.write(
    name,
    '#!/bin/sh\n'
      .. 'body='
      .. vim.fn.shellescape(answer)
      .. '\n'
      .. 'printf "Content-Length: %d\\r\\n\\r\\n%s" ${#body} "$body"\n'
      .. 'exec cat >/dev/null\n',
    493
  )
end
local newer = server(
  'newer',
  '{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":"glue-lsp","version":"v9"},"capabilities":{"experimental":{"glue":{"version":2,"methods":[]}}}}}'
)
local other = server('other', '{"jsonrpc":"2.0","id":1,"result":{"capabilities":{}}}')
local older = server(
  'older',
  '{"jsonrpc":"2.0","id":1,"result":{"serverInfo":{"name":"glue-lsp","version":"v0"},"capabilities":{"experimental":{"glue":{"version":1,"methods":["glue/session/open"]}}}}}'
)
local ends = t.write('ends', '#!/bin/sh\necho "no licence" >&2\nexit 3\n', 493)
for program, wanted in pairs({
  [newer] = 'speaks version 2 of glue’s protocol, this plugin version 1',
  [other] = 'is not glue-lsp',
  [older] = 'is older than this plugin: it has no glue/exec',
  [ends] = 'ended with status 3 before it was ready',
}) do
  local e = t.start({
    cwd = 'shop',
    args = { 'list.txt' },
    start = ('require("glue").setup{ cmd = %q }'):format(program),
  })
  e:told(wanted)
  e:quit()
end

-- No project: the folder that Neovim is in, but never a home folder.
t.write('loose/notes.txt', 'one\n')
local loose = t.start({ cwd = 'loose', args = { 'notes.txt' } })
loose:wait('no server', [[return #require('glue.client').all() == 0]])
loose:type('onot saved<Esc>')
loose:command('GlueRun cat notes.txt; echo made > made.txt')
loose:told('1 changed file: :GlueReturn')
t.has(loose:output('not saved'), 'not saved', 'unsaved text without a repository')
loose:command('GlueReturn!')
loose:told('1 file returned')
t.eq(t.read('loose/made.txt'), 'made\n', 'the file')
loose:quit()
local home = t.start({ cwd = 'person', env = { HOME = t.path('person') } })
home:command('GlueRun true')
home:told('holds your home folder')
home:quit()

-- The server is killed in the middle of a command: it is started again, and output goes on.
local e = t.start({ cwd = 'shop', args = { 'list.txt' } })
e:ready()
e:command(
  'GlueRun echo first; echo two >> list.txt; n=0; while [ ! -e go ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n+1)); done; echo last'
)
e:output('first')
local pid = e:server_pid()
vim.uv.kill(pid, 'sigkill')
e:told('was ended by signal 9 and is started again')
e:wait(
  'the command to be followed again',
  [[
  local run = require('glue.run').running()[1]
  return run and run.output.state == 'running' and not run.detached
]]
)
t.eq(e:server_pid() ~= pid, true, 'another server runs')
e:command('GlueRun touch go')
local lines = e:wait(
  'the end of the first command',
  [[
  for _, buf in ipairs(vim.api.nvim_list_bufs()) do
    if vim.api.nvim_buf_get_name(buf):find('glue://output/echo first', 1, true) then
      local lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false)
      return vim.tbl_contains(lines, 'last') and lines
    end
  end
]]
)
local seen = 0
for _, line in ipairs(lines) do
  seen = seen + (line == 'first' and 1 or 0)
end
t.eq(seen, 1, 'how often the first line is there')
e:told('changed files: :GlueReturn')

-- Where it is not started again by itself, what ran goes on once it is.
e:lua([[require('glue.config').options.restart = false]])
e:forget_messages()
e:command(
  'GlueRun echo begun; n=0; while [ ! -e go-on ] && [ $n -lt 1200 ]; do sleep 0.05; n=$((n+1)); done; echo over'
)
e:output('begun')
vim.uv.kill(e:server_pid(), 'sigkill')
e:told(':GlueRestart starts it again')
e:command('GlueRestart')
e:told('glue-lsp runs on')
e:command('GlueRun touch go-on')
e:told('echo begun; n=0; wh…: done')
e:lua([[require('glue.config').options.restart = true]])

-- A second editor on the folder is told who has it.
local second = t.start({ cwd = 'shop', args = { 'list.txt' } })
second:ready()
second:command('GlueRun true')
second:answer('Another editor has a sandbox of this folder open', '\r')
second:output('')
t.eq(second:lua([[return #require('glue.run').running()]]), 0, 'what runs after a no')
second:command('GlueRun echo apart >> list.txt')
second:answer('Another editor has a sandbox of this folder open', 's')
second:told('1 changed file: :GlueReturn')
second:quit()

e:command('GlueRestart')
e:told('glue-lsp runs on')
e:quit()
t.eq(t.read('shop/list.txt'), 'one\n', 'nothing came back unasked')
