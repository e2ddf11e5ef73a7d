-- How the plugin is configured, what its help and its health say, and a statusline.
local t = ...

t.repository(
  'shop',
  { ['list.txt'] = 'one\n', ['Makefile'] = '', ['b.txt'] = '', ['LICENSE'] = 'free\n' }
)

-- The help has an entry for every command, and its tags are made without a complaint.
local e = t.start({
  cwd = 'shop',
  args = { '-p', 'list.txt', 'Makefile', 'b.txt', '-c', 'GlueRun echo at once' },
  setup = 'settings = { ["local"] = { network = "none" } }, root_markers = { ".git", "list.txt" }',
})
e:output('at once')
t.eq(
  e:lua([[return #vim.lsp.get_clients({ name = 'glue', _uninitialized = true })]]),
  1,
  'servers for several files and a command at the start'
)
e:command('tabonly')
vim.fn.mkdir(t.path('help/doc'), 'p')
t.write('help/doc/glue.txt', t.read(t.plugin .. '/doc/glue.txt'))
e:lua(
  [[
    vim.cmd('helptags ' .. vim.fn.fnameescape(... .. '/doc'))
    vim.opt.runtimepath:append(...)
  ]],
  t.path('help')
)
local commands = e:lua([[
  return vim.tbl_filter(function(name)
    return vim.startswith(name, 'Glue')
  end, vim.tbl_keys(vim.api.nvim_get_commands({})))
]])
t.eq(#commands >= 11, true, 'commands')
local tags = t.read('help/doc/tags')
for _, name in ipairs(commands) do
  t.has('\n' .. tags, '\n:' .. name .. '\t', 'the tags of the help')
end
e:lua([[vim.cmd('help glue') vim.cmd('helpclose')]])
local described = e:lua([[
  vim.cmd('help glue-options')
  local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
  vim.cmd('helpclose')
  local missing = {}
  for name in pairs(require('glue.config').options) do
    if not text:find('\n' .. name .. '\t', 1, true) then
      missing[#missing + 1] = name
    end
  end
  return missing
]])
t.eq(described, {}, 'options without a description')

-- Wrong options are named, and change nothing.
t.has(
  e:lua([[local _, err = pcall(require('glue').setup, { comand = {} }) return err]]),
  'there is no option "comand"',
  'an unknown option'
)
t.has(
  e:lua([[local _, err = pcall(require('glue').setup, { codelens = 'yes' }) return err]]),
  'codelens must be a boolean',
  'an option of a wrong type'
)

-- A question of the server's: the harmless answer is the one of <Enter>.
for key, wanted in pairs({ ['\r'] = 'Cancel', a = 'Always for this folder', r = 'Run once' }) do
  e:lua([[
    vim.schedule(function()
      local answer = require('glue.handlers').handlers()['window/showMessageRequest'](nil, {
        message = 'Run without a sandbox?',
        actions = { { title = 'Run once' }, { title = 'Always for this folder' }, { title = 'Cancel' } },
      })
      vim.g.answer = answer.title
    end)
  ]])
  e:answer('Run without a sandbox?', key)
  e:wait('the answer', [[return vim.g.answer == ...]], wanted)
end

-- Settings reach the server as the person's own.
e:command('GlueRun wc -l < /proc/net/dev; echo lines')
e:told('done after')
t.has(e:output('lines'), '3', 'only the loopback device is there')
e:wait('the status', [[return require('glue').status() == 'local bubblewrap']])

-- A file of no known kind is followed, and so is one that is opened later.
e:command('edit LICENSE')
e:wait(
  'the file to be followed',
  [[
  return #vim.lsp.get_clients({ bufnr = 0, name = 'glue' }) == 1
]]
)
t.eq(e:lua([[return #vim.lsp.get_clients({ name = 'glue' })]]), 1, 'servers of one folder')

e:command('checkhealth glue')
e:wait(
  'the health report',
  [[
  local text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\n')
  return text:find('what sandboxes need', 1, true) and text:find('OK git', 1, true) ~= nil
    and not text:find('glue: the plugin.-ERROR.-what sandboxes')
]]
)
e:quit()

-- Without any configuration the commands are there.
local bare = t.start({
  cwd = 'shop',
  args = { 'list.txt' },
  start = '',
  env = { PATH = vim.fs.dirname(t.server) .. ':' .. vim.env.PATH },
})
t.eq(
  bare:lua([[return package.loaded['glue.client'] == nil]]),
  true,
  'nothing is loaded before it is needed'
)
bare:command('GlueRun echo bare-$((1+1))')
bare:output('bare-2')
bare:quit()

-- Neovim's own configuration.
if t.version ~= '0.10' then
  local own = t.start({
    cwd = 'shop',
    args = { 'list.txt' },
    start = ([[
      vim.lsp.config('*', { capabilities = { workspace = { workspaceEdit = { changeAnnotationSupport = {} } } } })
      vim.lsp.config('glue', { cmd = { %q }, settings = { glue = { ['local'] = { network = 'none' } } } })
      vim.lsp.enable('glue')
    ]]):format(t.server),
  })
  own:ready()
  own:command('GlueRun wc -l < /proc/net/dev; echo lines')
  own:told('done after')
  t.has(own:output('lines'), '3', 'only the loopback device is there')
  own:command('edit LICENSE')
  own:wait(
    'the file to be followed',
    [[
    return #vim.lsp.get_clients({ bufnr = 0, name = 'glue' }) == 1
  ]]
  )
  own:command('GlueRestart')
  own:told('glue-lsp runs on')
  own:ready()
  own:forget_messages()
  own:command('GlueRun echo again-$((1+1))')
  own:output('again-2')
  own:quit()
end
