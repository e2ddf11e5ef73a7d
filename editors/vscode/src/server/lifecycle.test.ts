import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerState } from '../glue';
import type { Server } from './lifecycle';
import { Lifecycle, ToldError } from './lifecycle';
import { Restarts } from './restarts';

// Deferred is a promise that a test settles.
class Deferred<T> {
  resolve!: (value: T) => void;
  reject!: (reason: Error) => void;
  readonly promise = new Promise<T>((resolve, reject) => {
    this.resolve = resolve;
    this.reject = reject;
  });
}

class FakeServer implements Server<string> {
  stopped: boolean | undefined; // whether its end was waited for
  buried = false;
  readonly end = new Deferred<undefined>();
  private isGone = false;
  private onGone: (() => void) | undefined;

  constructor(readonly client: string) {}

  whenGone(then: () => void): void {
    this.onGone = then;
    if (this.isGone) {
      then();
    }
  }

  stop(wait: boolean): Promise<void> {
    this.stopped = wait;
    return this.end.promise;
  }

  bury(): Promise<string> {
    this.buried = true;
    return Promise.resolve('SIGSEGV');
  }

  die(): void {
    this.isGone = true;
    this.onGone?.();
  }
}

// Window is a lifecycle whose servers start when the test says so.
class Window {
  readonly launches: Deferred<Server<string>>[] = [];
  readonly states: ServerState[] = [];
  readonly told: string[] = [];
  now = 0;
  readonly lifecycle = new Lifecycle<string>(
    {
      launch: () => {
        const launch = new Deferred<Server<string>>();
        this.launches.push(launch);
        return launch.promise;
      },
      changed: (state) => this.states.push(state),
      lost: () => undefined,
      failed: (error) => this.tell(`failed: ${(error as Error).message}`),
      gaveUp: (how) => this.tell(`gave up: ${how}`),
    },
    new Restarts(() => this.now),
  );

  private tell(text: string): string {
    this.told.push(text);
    return text;
  }

  // launched lets the newest start succeed.
  async launched(name: string): Promise<FakeServer> {
    await settled();
    const server = new FakeServer(name);
    this.launches.at(-1)?.resolve(server);
    await settled();
    return server;
  }

  async failed(why: string): Promise<void> {
    await settled();
    this.launches.at(-1)?.reject(new Error(why));
    await settled();
  }
}

// settled returns when nothing more happens by itself.
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('All who need the server wait for one start', async () => {
  const window = new Window();
  const both = Promise.all([window.lifecycle.start(), window.lifecycle.start()]);
  await window.launched('first');
  assert.deepEqual(await both, ['first', 'first']);
  assert.equal(await window.lifecycle.start(), 'first');
  assert.equal(window.launches.length, 1);
  assert.deepEqual(window.states, ['starting', 'running']);
});

test('A server that dies while it starts is told once, and the next request tries again', async () => {
  const window = new Window();
  const waiting = Promise.all([
    assert.rejects(window.lifecycle.start(), ToldError),
    assert.rejects(window.lifecycle.start(), ToldError),
  ]);
  await window.failed('ended before it answered');
  await waiting;
  assert.deepEqual(window.told, ['failed: ended before it answered']);
  assert.equal(window.lifecycle.state, 'failed');
  const again = window.lifecycle.start();
  await window.launched('second');
  assert.equal(await again, 'second');
});

test('A server that dies is followed by another, which all wait for', async () => {
  const window = new Window();
  void window.lifecycle.start();
  const first = await window.launched('first');
  first.die();
  assert.equal(window.lifecycle.client, undefined);
  assert.equal(window.lifecycle.state, 'starting');
  const next = window.lifecycle.start();
  await window.launched('second');
  assert.ok(first.buried);
  assert.equal(await next, 'second');
  assert.equal(window.launches.length, 2);
  first.die();
  assert.equal(window.lifecycle.client, 'second', 'the end of the first is no news');
});

test('A server that dies as soon as it has answered is followed by one, not two', async () => {
  const window = new Window();
  void window.lifecycle.start();
  await settled();
  const first = new FakeServer('first');
  first.die();
  window.launches[0]?.resolve(first);
  await settled();
  assert.equal(window.lifecycle.state, 'starting');
  const next = window.lifecycle.start();
  await settled();
  assert.equal(window.launches.length, 2);
  await window.launched('second');
  assert.equal(await next, 'second');
  assert.equal(window.launches.length, 2);
});

test('A server that dies again and again is given up, and a person can start it anew', async () => {
  const window = new Window();
  void window.lifecycle.start();
  for (const name of ['1', '2', '3', '4']) {
    assert.deepEqual(window.told, []);
    (await window.launched(name)).die();
    await settled();
  }
  assert.deepEqual(window.told, ['gave up: SIGSEGV']);
  assert.equal(window.lifecycle.state, 'failed');
  assert.equal(window.launches.length, 4);

  const restarted = window.lifecycle.restart();
  (await window.launched('5')).die();
  await restarted;
  await window.launched('6');
  assert.equal(window.lifecycle.client, '6', 'earlier ends do not count any more');
});

test('What waits for a server that is given up hears of it', async () => {
  const window = new Window();
  void window.lifecycle.start();
  for (const name of ['1', '2', '3']) {
    (await window.launched(name)).die();
  }
  const last = await window.launched('4');
  last.die();
  await assert.rejects(window.lifecycle.start(), ToldError);
});

test('A server that another program took the place of is told, and not started again and again', async () => {
  const window = new Window();
  void window.lifecycle.start();
  (await window.launched('first')).die();
  const waiting = assert.rejects(window.lifecycle.start(), ToldError);
  await window.failed('is of version 2');
  await waiting;
  assert.deepEqual(window.told, ['failed: is of version 2']);
  assert.equal(window.launches.length, 2);
});

test('A restart waits for the end of the server that it replaces, also when it is pressed twice', async () => {
  const window = new Window();
  void window.lifecycle.start();
  const first = await window.launched('first');
  const restarts = [window.lifecycle.restart(), window.lifecycle.restart()];
  await settled();
  assert.equal(first.stopped, true);
  assert.equal(window.lifecycle.state, 'stopped');
  const request = window.lifecycle.start();
  await settled();
  assert.equal(window.launches.length, 1, 'the first still has the sandbox');
  first.end.resolve(undefined);
  await window.launched('second');
  await Promise.all(restarts);
  assert.equal(await request, 'second');
  assert.equal(window.launches.length, 2);
});

test('A restart while the server comes back replaces the one that came', async () => {
  const window = new Window();
  void window.lifecycle.start();
  (await window.launched('first')).die();
  const restarted = window.lifecycle.restart();
  const second = await window.launched('second');
  assert.equal(second.stopped, true);
  second.end.resolve(undefined);
  await window.launched('third');
  await restarted;
  assert.equal(window.lifecycle.client, 'third');
});

test('A window that closes leaves no server that was just starting, and starts none', async () => {
  const window = new Window();
  const starting = assert.rejects(window.lifecycle.start(), ToldError);
  await settled();
  await window.lifecycle.close();
  const late = await window.launched('late');
  assert.equal(late.stopped, false);
  late.end.resolve(undefined);
  await starting;
  await assert.rejects(window.lifecycle.start(), ToldError);
  assert.equal(window.launches.length, 1);
  assert.deepEqual(window.told, []);
});

test('A server that dies while its window closes is not started again', async () => {
  const window = new Window();
  void window.lifecycle.start();
  const server = await window.launched('first');
  server.die();
  await window.lifecycle.close();
  await settled();
  assert.equal(window.launches.length, 1);
  assert.deepEqual(window.told, []);
});
