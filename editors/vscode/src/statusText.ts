// What the status item says.
import type { ServerState } from './glue';
import type { SessionInfo } from './protocol';
import { count as noun, sentence as ended } from './words';

export interface Situation {
  server: ServerState;
  folder: boolean; // one is open that can be sent
  session: SessionInfo | undefined;
  running: number; // commands
  waiting: number; // changed files of ended sessions
  now: number; // milliseconds
}

export interface Status {
  text: string;
  detail: string;
  busy: boolean;
  severity: 'information' | 'warning' | 'error';
}

const soonMs = 5 * 60_000;

export function statusOf(s: Situation): Status {
  switch (s.server) {
    case 'failed':
      return status(
        'Sandbox: no server',
        'The server does not run. Open the log for why.',
        'error',
      );
    case 'starting':
      return { ...status('Sandbox: starting', 'The server is starting.'), busy: true };
    case 'stopped':
    case 'running':
      break;
  }
  if (!s.folder) {
    return status('Sandbox: no folder', 'Open a folder: a sandbox gets what is in it.');
  }
  if (s.session === undefined) {
    const waiting =
      s.waiting > 0 ? `${count(s.waiting)} of an earlier sandbox did not come back.` : '';
    return status(
      'No sandbox',
      waiting || 'It opens with the first command.',
      s.waiting > 0 ? 'warning' : 'information',
    );
  }
  return ofSession(s.session, s);
}

function ofSession(session: SessionInfo, s: Situation): Status {
  const where = session.runtime === 'modal' ? 'Modal' : `Local, ${session.isolation}`;
  const left = timeLeft(session, s.now);
  const doing = {
    opening: 'opening',
    ready: s.running > 0 ? 'running' : '',
    returning: 'returning',
    closed: 'closed',
    lost: 'gone',
  }[session.state];
  const text = [where, left?.text, doing].filter((part) => part !== undefined && part !== '');
  const detail = [
    session.checkpoint.changedFiles > 0
      ? `${count(session.checkpoint.changedFiles)} to return.`
      : '',
    sentence(session.lost?.message ?? ''),
    ...session.warnings.map(sentence),
    session.gaps.length > 0
      ? sentence(`Not held by the isolation: ${session.gaps.join('; ')}`)
      : '',
  ].filter((part) => part !== '');
  const warns =
    session.isolation === 'none' ||
    session.state === 'lost' ||
    session.warnings.length > 0 ||
    left?.soon === true;
  return {
    text: text.join(' · '),
    detail: detail.join(' '),
    busy: session.state === 'opening' || session.state === 'returning',
    severity: warns ? 'warning' : 'information',
  };
}

interface Left {
  text: string;
  soon: boolean;
}

// timeLeft is until the runtime ends the sandbox by itself, where it does that.
export function timeLeft(session: SessionInfo, now: number): Left | undefined {
  if (session.expiresAt === undefined) {
    return undefined;
  }
  const ms = Date.parse(session.expiresAt) - now;
  if (Number.isNaN(ms)) {
    return undefined;
  }
  if (ms <= 0) {
    return { text: 'time is up', soon: true };
  }
  const minutes = Math.floor(ms / 60_000);
  const hours = Math.floor(minutes / 60);
  const soon = ms < soonMs;
  if (minutes < 1) {
    return { text: 'under 1 min left', soon };
  }
  return { text: hours < 1 ? `${minutes} min left` : `${hours} h ${minutes % 60} min left`, soon };
}

function status(
  text: string,
  detail: string,
  severity: Status['severity'] = 'information',
): Status {
  return { text, detail, severity, busy: false };
}

function count(n: number): string {
  return noun(n, 'changed file');
}

// sentence ends a server's words, which come without a full stop.
function sentence(text: string): string {
  return text === '' ? '' : ended(text);
}
