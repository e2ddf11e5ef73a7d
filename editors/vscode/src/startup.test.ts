import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { isOfUse, languagesOf } from './startup';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(path.join(os.tmpdir(), 'glue-startup-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

function made(name: string): string {
  const folder = path.join(dir, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function starts(folders: string[], languages: string[] = []): Promise<boolean> {
  return isOfUse({ folders, languages }, new Set(['go']), { GLUE_HOME: path.join(dir, 'home') });
}

test('notes alone start nothing', async () => {
  assert.equal(await starts([made('notes')], ['markdown']), false);
});

test('a file that can be run starts it, in a folder', async () => {
  assert.equal(await starts([made('notes')], ['markdown', 'go']), true);
  assert.equal(await starts([], ['go']), false);
});

test('a folder inside of a repository starts it', async () => {
  made('repository/.git');
  assert.equal(await starts([made('repository/docs/guide')]), true);
  assert.equal(await starts([made('notes'), made('repository')]), true);
});

test('what earlier windows left starts it', async () => {
  made('home/sessions');
  assert.equal(await starts([made('notes')]), false);
  made('home/sessions/s1');
  assert.equal(await starts([made('notes')]), true);
});

test('the languages are those of the manifest', () => {
  const activationEvents = ['onStartupFinished', 'onLanguage:go', 'onLanguage:ruby'];
  assert.deepEqual([...languagesOf({ activationEvents })], ['go', 'ruby']);
  assert.deepEqual([...languagesOf({})], []);
});
