import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelName, channelOfDocument } from './names';

const app = { name: 'app', path: '/home/ann/shop/app' };
const none = new Set<string>();

test('a folder alone with its name needs no more', () => {
  const api = { name: 'app-api', path: '/home/ann/shop/app-api' };
  assert.equal(channelName(app, [app, api], none), 'Glue: app');
  assert.equal(channelName(api, [app, api], none), 'Glue: app-api');
});

test('folders of one name are told apart by what they are in', () => {
  const other = { name: 'app', path: '/home/ann/bank/app' };
  assert.equal(channelName(app, [app, other], none), 'Glue: app (shop)');
  assert.equal(channelName(other, [app, other], none), 'Glue: app (bank)');
  const alike = { name: 'app', path: '/srv/shop/app' };
  assert.equal(channelName(app, [app, alike], none), 'Glue: app (/home/ann/shop/app)');
});

test('no two channels have one name', () => {
  assert.equal(channelName(app, [app], new Set(['Glue: app'])), 'Glue: app (shop)');
  const long = { name: 'app', path: `/${'deep/'.repeat(60)}app` };
  const taken = new Set<string>();
  for (let i = 0; i < 5; i++) {
    const name = channelName(long, [long], taken);
    assert.ok(!taken.has(name), name);
    taken.add(name);
  }
});

test('names have nothing that is more than text', () => {
  const name = channelName({ name: 'a\u001b[31m\nb', path: '/x/a' }, [], none);
  // eslint-disable-next-line no-control-regex
  assert.ok(!/[\u0000-\u001f]/u.test(name), JSON.stringify(name));
});

test('a document of the output view tells its channel, all of it', () => {
  const of = (name: string) => channelOfDocument(`extension-output-glue-lsp.glue-#3-${name}`);
  assert.equal(of('Glue: app'), 'Glue: app');
  assert.equal(of('Glue: app-api'), 'Glue: app-api');
  assert.equal(of('Glue: x-#1-Glue: app'), 'Glue: x-#1-Glue: app');
  assert.equal(channelOfDocument('tasks'), undefined);
});
