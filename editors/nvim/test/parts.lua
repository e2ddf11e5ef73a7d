-- Parts that need no server: escapes and file locations, in an editor of either version.
local t = ...

t.write('tree/src/a.go', 'package a\n')
t.write('tree/src/b c.go', 'package a\n')
t.write('outside/secret.go', 'package a\n')
vim.uv.fs_symlink(t.path('outside'), t.path('tree/link'))
vim.uv.fs_symlink(t.path('outside/secret.go'), t.path('tree/secret.go'))

local e = t.start({ start = '' })

---Feeds pieces to a filter in the editor.
local function fed(keep, ...)
  return e:lua(
    [[
    local keep, pieces = ...
    local filter, out = require('glue.escapes').filter(keep), {}
    for _, piece in ipairs(pieces) do
      out[#out + 1] = filter:feed(piece)
    end
    return table.concat(out)
  ]],
    keep,
    { ... }
  )
end

local all =
  '\27[31mred\27[0m \27]52;c;aGk=\7copy \27]8;;http://x\27\\link\27]8;;\27\\ \27Pq#0\27\\dcs \27_apc\27\\ \27(Bend é\194\160\194\1552K\194\1570;t\194\156x'
t.eq(fed(false, all), 'red copy link dcs  end é\194\160x', 'text without sequences')
t.eq(
  fed(true, all),
  '\27[31mred\27[0m copy link dcs  \27(Bend é\194\160x',
  'a terminal keeps colours'
)
for cut = 1, #all - 1 do
  t.eq(
    fed(false, all:sub(1, cut), all:sub(cut + 1)),
    'red copy link dcs  end é\194\160x',
    'cut at ' .. cut
  )
end
local single = {}
for i = 1, #all do
  single[i] = all:sub(i, i)
end
t.eq(
  fed(true, unpack(single)),
  '\27[31mred\27[0m copy link dcs  \27(Bend é\194\160x',
  'byte by byte'
)
t.eq(fed(false, 'a\27]0;never ends', 'still', '\24b'), 'ab', 'a string is cancelled')
t.eq(fed(true, 'a\27[5\27[0mb'), 'a\27[0mb', 'a sequence that another one cuts off')

---Where a line of output leads.
local function place(line, near)
  local found = e:lua(
    [[
    local line, dir, near = ...
    local locations = require('glue.locations')
    local name, lnum, col = locations.parse(line)
    local places = { root = '/workspace', cwd = '/workspace/src', host = dir, near = near }
    local file = name and locations.file(name, places)
    return file and { file:sub(#dir + 2), lnum, col or 0 } or {}
  ]],
    line,
    t.path('tree'),
    near
  )
  return found
end
for line, wanted in pairs({
  ['a.go:3:7: undefined: x'] = { 'src/a.go', 3, 7 },
  ['    a.go:12: wrong'] = { 'src/a.go', 12, 0 },
  ['/workspace/src/a.go:4: x'] = { 'src/a.go', 4, 0 },
  ['  File "/workspace/src/b c.go", line 9, in f'] = { 'src/b c.go', 9, 0 },
  ['    at f (/workspace/src/a.go:2:3)'] = { 'src/a.go', 2, 3 },
  ['a.go(3,9): error TS1'] = { 'src/a.go', 3, 9 },
  ['  --> a.go:5:1'] = { 'src/a.go', 5, 1 },
  ['../src/./a.go:1'] = { 'src/a.go', 1, 0 },
  ['../../outside/secret.go:1: out by dots'] = {},
  ['../link/secret.go:1: out by a linked folder'] = {},
  ['../secret.go:1: out by a link'] = {},
  ['/etc/passwd:1: not of the tree'] = {},
  ['missing.go:1: not there'] = {},
  ['../src:1: a folder'] = {},
  ['no location'] = {},
}) do
  t.eq(place(line), wanted, line)
end
t.eq(
  place('a.go:3: in a package', t.path('tree/src')),
  { 'src/a.go', 3, 0 },
  'beside the file that was run'
)

-- How bytes travel: as text only where they are.
t.eq(
  e:lua([[
    local streams = require('glue.streams')
    local out = {}
    for _, bytes in ipairs({ 'plain', 'é€😀z', '\255\254', 'a\195', '\237\160\128', '\192\175' }) do
      local data, encoding = streams.payload(bytes)
      out[#out + 1] = { encoding, streams.bytes({ data = data, encoding = encoding }) == bytes }
    end
    return out
  ]]),
  {
    { 'utf-8', true },
    { 'utf-8', true },
    { 'base64', true },
    { 'base64', true },
    { 'base64', true },
    { 'base64', true },
  },
  'payloads'
)

-- Where something is in the way there is nothing to be merged.
e:lua([[require('glue.async').run(function()
  require('glue.conflicts').open({}, {}, {
    { path = 'a.txt', kind = 'content', detail = 'its unsaved text is in the way', held = true },
  })
end)]])
e:told('a.txt: its unsaved text is in the way')
t.eq(e:lua([[return #vim.api.nvim_list_tabpages()]]), 1, 'tabs')

-- Pacing loses nothing and keeps the order, however large the pieces are.
t.eq(
  e:lua([[
    local shown, whole = {}, {}
    local feed = require('glue.pace').new(10, 1, function(bytes)
      shown[#shown + 1] = bytes
    end)
    for i = 1, 200 do
      local piece = ('%d,'):format(i):rep(i % 7)
      whole[#whole + 1] = piece
      feed.push(piece)
      if i % 20 == 0 then
        vim.wait(5)
      end
    end
    feed.flush()
    return table.concat(shown) == table.concat(whole)
  ]]),
  true,
  'what was shown'
)
