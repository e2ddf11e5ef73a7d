import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionInfo } from './protocol';
import type { Situation } from './statusText';
import { statusOf, timeLeft } from './statusText';

const session: SessionInfo = {
  id: 's1',
  runtime: 'local',
  state: 'ready',
  workspaceFolder: 'file:///home/me/shop',
  root: '/workspace',
  cwd: '/workspace',
  isolation: 'bubblewrap',
  gaps: [],
  transport: 'agent',
  base: { commit: '', files: 1, bytes: 1, unsaved: 0, skipped: [] },
  checkpoint: { seq: 1, commit: '', at: '', changedFiles: 0 },
  execs: [],
  createdAt: '2026-01-01T00:00:00Z',
  warnings: [],
};

function of(more: Partial<Situation>): ReturnType<typeof statusOf> {
  return statusOf({
    server: 'running',
    folder: true,
    session: undefined,
    running: 0,
    waiting: 0,
    now: Date.parse('2026-01-01T00:00:00Z'),
    ...more,
  });
}

test('The status names runtime, isolation and what is going on', () => {
  assert.equal(of({ session }).text, 'Local, bubblewrap');
  assert.equal(of({ session, running: 1 }).text, 'Local, bubblewrap · running');
  const opening = of({ session: { ...session, state: 'opening' } });
  assert.equal(opening.text, 'Local, bubblewrap · opening');
  assert.ok(opening.busy);
});

test('The status tells how long a sandbox in the cloud still lives', () => {
  const modal: SessionInfo = { ...session, runtime: 'modal', expiresAt: '2026-01-01T00:23:30Z' };
  const status = of({ session: modal });
  assert.equal(status.text, 'Modal · 23 min left');
  assert.equal(status.severity, 'information');
  const soon = of({ session: { ...modal, expiresAt: '2026-01-01T00:04:00Z' } });
  assert.equal(soon.severity, 'warning');
});

test('Gaps, warnings and what waits are in the detail', () => {
  const status = of({
    session: {
      ...session,
      gaps: ['other processes are seen', 'the network is open'],
      warnings: ['too large'],
      checkpoint: { ...session.checkpoint, changedFiles: 2 },
    },
  });
  assert.equal(
    status.detail,
    '2 changed files to return. too large. ' +
      'Not held by the isolation: other processes are seen; the network is open.',
  );
  assert.equal(status.severity, 'warning');
});

test('Running without isolation is a warning', () => {
  assert.equal(of({ session: { ...session, isolation: 'none' } }).severity, 'warning');
});

test('Without a folder, a session or a server the status says so', () => {
  assert.match(of({ folder: false }).text, /no folder/u);
  assert.match(of({}).text, /No sandbox/u);
  assert.match(of({ waiting: 2 }).detail, /2 changed files of an earlier sandbox/u);
  assert.equal(of({ server: 'failed' }).severity, 'error');
  assert.ok(of({ server: 'starting' }).busy);
});

test('Time left is told as people say it', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const left = (expiresAt: string): string | undefined =>
    timeLeft({ ...session, expiresAt }, now)?.text;
  assert.equal(left('2026-01-01T02:05:00Z'), '2 h 5 min left');
  assert.equal(left('2026-01-01T00:00:30Z'), 'under 1 min left');
  assert.equal(left('2025-12-31T00:00:00Z'), 'time is up');
  assert.equal(left('never'), undefined);
  assert.equal(timeLeft(session, now), undefined);
});
