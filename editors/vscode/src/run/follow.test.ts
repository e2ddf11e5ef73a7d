import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import type { ServerState } from '../glue';
import type { ExecResult, SessionInfo } from '../protocol';
import { CutOffError } from '../protocol';
import type { Following } from './follow';
import { follow } from './follow';
import type { Known } from './resumed';

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
});
afterEach(() => {
  mock.timers.reset();
});

// Servers is what a window knows of the servers that come and go.
class Servers {
  private readonly byId = new Map<string, SessionInfo>();
  private readonly listeners = new Set<() => void>();

  readonly glue = {
    state: 'running',
    onDidChangeState: (then: () => void) => this.listen(then),
    sessions: {
      get: (id: string) => this.byId.get(id),
      onDidChange: (then: () => void) => this.listen(then),
    },
  } as unknown as Known & { state: ServerState };

  get listening(): number {
    return this.listeners.size;
  }

  // is is a change of the server's state; sessions are known only while one runs.
  is(state: ServerState): void {
    this.glue.state = state;
    this.byId.clear();
    this.tell();
  }

  has(id: string, state: SessionInfo['state'], ...execIds: string[]): void {
    const execs = execIds.map((execId) => ({ execId }));
    this.byId.set(id, { id, state, execs } as unknown as SessionInfo);
    this.tell();
  }

  private listen(then: () => void): { dispose: () => void } {
    this.listeners.add(then);
    return { dispose: () => this.listeners.delete(then) };
  }

  private tell(): void {
    for (const then of [...this.listeners]) {
      then();
    }
  }
}

const done = { exitCode: 0 } as ExecResult;
const cut = new CutOffError(new Error('the pipe broke'));

// following gives a command whose requests end one after the other as they are given, and
// what happened to it.
function following(...ends: (ExecResult | Error)[]): [Following, string[]] {
  const log: string[] = [];
  const answer = (name: string) => () => {
    log.push(name);
    const end = ends.shift();
    return end instanceof Error || end === undefined
      ? Promise.reject(end ?? new Error('was asked too often'))
      : Promise.resolve(end);
  };
  const note = (name: string) => () => {
    log.push(name);
  };
  const f = {
    session: 's1',
    execId: 'e1',
    first: answer('first'),
    again: answer('again'),
    cutOff: note('cut off'),
    goesOn: note('goes on'),
  };
  return [f, log];
}

// settled returns when nothing more happens by itself.
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('A command that ends is not followed any further', async () => {
  const servers = new Servers();
  const [f, log] = following(done);
  assert.equal(await follow(servers.glue, f), done);
  assert.deepEqual(log, ['first']);
});

test('A command goes on with the next server, once that has found it, and with the one after', async () => {
  const servers = new Servers();
  const [f, log] = following(cut, cut, done);
  servers.is('starting');
  const result = follow(servers.glue, f);
  await settled();
  servers.is('running');
  servers.has('s1', 'opening');
  servers.has('s2', 'ready', 'e1');
  await settled();
  assert.deepEqual(log, ['first', 'cut off']);
  servers.has('s1', 'ready', 'e1');
  servers.is('starting');
  await settled();
  assert.deepEqual(log, ['first', 'cut off', 'goes on', 'again', 'cut off']);
  servers.is('running');
  servers.has('s1', 'ready', 'e0', 'e1');
  assert.equal(await result, done);
  assert.equal(servers.listening, 0);
});

for (const state of ['lost', 'closed'] as const) {
  test(`A command whose sandbox is ${state} is cut off`, async () => {
    const servers = new Servers();
    const [f, log] = following(cut);
    servers.is('starting');
    const result = assert.rejects(follow(servers.glue, f), cut);
    await settled();
    servers.is('running');
    servers.has('s1', state);
    await result;
    assert.deepEqual(log, ['first', 'cut off']);
    assert.equal(servers.listening, 0);
  });
}

test('A command is cut off where the server is given up', async () => {
  const servers = new Servers();
  const [f] = following(cut);
  servers.is('starting');
  const result = assert.rejects(follow(servers.glue, f), cut);
  await settled();
  servers.is('failed');
  await result;
  assert.equal(servers.listening, 0);
});

test('A command that the next server does not have in time is cut off', async () => {
  const servers = new Servers();
  const [f] = following(cut);
  servers.is('starting');
  const result = assert.rejects(follow(servers.glue, f), cut);
  await settled();
  servers.is('running');
  servers.has('s1', 'ready');
  mock.timers.tick(60_000);
  await result;
  assert.equal(servers.listening, 0);
});

test('A failure that the server tells is no reason to wait for another server', async () => {
  const servers = new Servers();
  const failure = Object.assign(new Error('run: no such file'), { code: -32803 });
  const [f, log] = following(failure);
  await assert.rejects(follow(servers.glue, f), failure);
  assert.deepEqual(log, ['first']);
});
