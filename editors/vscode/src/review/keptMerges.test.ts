import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import type { SessionInfo } from '../protocol';
import type { KeptMerge } from './keptMerges';
import { KeptMerges } from './keptMerges';

function merge(text: string, more: Partial<KeptMerge> = {}): KeptMerge {
  return {
    session: { id: 's1', workspaceFolder: 'file:///w' } as SessionInfo,
    change: { path: 'ä.txt', pathBytes: '5A==', status: 'modified', kind: 'text' },
    mine: 'mine\r\n',
    theirs: 'theirs\r\n',
    parts: [{ mine: ['mine\n'], base: [], theirs: ['theirs\n'] }],
    mark: '\ufeff',
    text,
    written: true,
    changedAt: 1000,
    ...more,
  };
}

function inFolder(work: (dir: string) => void): void {
  const above = mkdtempSync(path.join(tmpdir(), 'glue-merges-'));
  try {
    work(path.join(above, 'storage', 'merges'));
  } finally {
    rmSync(above, { recursive: true });
  }
}

const day = 24 * 60 * 60 * 1000;

test('What a person saved of a merge is there in the next window, whole', () => {
  inFolder((dir) => {
    new KeptMerges(dir).put('glue-merge://s1/a', merge('begun', { written: false }));
    new KeptMerges(dir).put('glue-merge://s1/a', merge('half done\r\n'));
    new KeptMerges(dir).put('glue-merge://s1/../b', merge('another'));
    const texts = new KeptMerges(dir).all(2000).map((kept) => kept.text);
    assert.deepEqual(texts.sort(), ['another', 'half done\r\n']);
    new KeptMerges(dir).drop('glue-merge://s1/../b');
    assert.deepEqual(new KeptMerges(dir).all(2000), [merge('half done\r\n')]);
  });
});

test('Nobody else can read what is kept', () => {
  inFolder((dir) => {
    new KeptMerges(dir).put('a', merge('secret'));
    const [name = ''] = readdirSync(dir);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.equal(statSync(path.join(dir, name)).mode & 0o777, 0o600);
  });
});

test('Only what nobody saved is dropped when it is old', () => {
  inFolder((dir) => {
    const kept = new KeptMerges(dir);
    kept.put('saved', merge('saved'));
    kept.put('begun', merge('begun', { written: false }));
    assert.equal(kept.all(29 * day).length, 2);
    assert.deepEqual(kept.all(31 * day), [merge('saved')]);
    assert.equal(kept.all(29 * day).length, 1);
  });
});

test('What cannot be read, or is of another version, hinders nothing', () => {
  inFolder((dir) => {
    const kept = new KeptMerges(dir);
    kept.put('a', merge('a'));
    writeFileSync(path.join(dir, 'cut.json'), '{"version":1,"ke');
    writeFileSync(path.join(dir, 'later.json'), '{"version":2,"kept":{}}');
    assert.deepEqual(kept.all(2000), [merge('a')]);
    assert.equal(readdirSync(dir).length, 1);
  });
});

test('Without a folder nothing is kept, and nothing fails', () => {
  const kept = new KeptMerges(undefined);
  kept.put('a', merge('a'));
  kept.drop('a');
  assert.deepEqual(kept.all(0), []);
});
