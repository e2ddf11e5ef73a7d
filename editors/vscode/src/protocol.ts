// The part of docs/lsp-extensions.md that the extension uses, as types. Members that the
// extension does not look at are left out; whatever a newer server adds is ignored.
import type { ProgressToken, Range, WorkspaceEdit } from 'vscode-languageclient/node';

// The version of the glue/ methods that this client is written for.
export const protocolVersion = 1;

// Methods that came after the first servers with this version of the protocol.
export const neededMethods = ['glue/session/undo', 'glue/session/version', 'glue/exec/attach'];

export type Runtime = 'local' | 'modal';
export type SessionState = 'opening' | 'ready' | 'returning' | 'closed' | 'lost';
export type Encoding = 'utf-8' | 'base64';

export interface Payload {
  data: string;
  encoding: Encoding;
}

export interface SessionInfo {
  id: string;
  runtime: Runtime;
  state: SessionState;
  workspaceFolder: string;
  root: string;
  cwd: string;
  sandboxId?: string;
  isolation: string;
  gaps: string[];
  transport: string;
  base: { commit: string; files: number; bytes: number; unsaved: number; skipped: Skipped[] };
  checkpoint: { seq: number; commit: string; at: string; changedFiles: number };
  execs: ExecInfo[];
  createdAt: string;
  expiresAt?: string;
  warnings: string[];
  lost?: { kind: string; message: string };
}

export interface ExecInfo {
  execId: string;
  command: string;
  startedAt: string;
  state: 'running' | 'background';
}

export interface FileChange {
  path: string;
  pathBytes?: string;
  oldPath?: string;
  oldPathBytes?: string;
  status: 'added' | 'modified' | 'deleted' | 'renamed' | 'mode' | 'type';
  kind: 'text' | 'binary' | 'symlink';
  additions?: number;
  deletions?: number;
  oldMode?: number;
  newMode?: number;
  acts?: { when: 'open' | 'build'; why: string };
  outsideWorkspace?: boolean;
}

export interface Conflict {
  path: string;
  pathBytes?: string;
  kind: 'content' | 'addAdd' | 'modifyDelete' | 'rename' | 'binary' | 'type';
  detail: string;
  held?: boolean; // nothing conflicts, but something is in the way
}

export interface Skipped {
  path: string;
  pathBytes?: string;
  reason: string;
}

// A path in a list: by text, or by its bytes where it is not UTF-8.
export type PathRef = string | { path?: string; pathBytes?: string };

export interface Resolution {
  path: string;
  pathBytes?: string;
  choice: 'mine' | 'theirs' | 'content';
  data?: string;
  encoding?: Encoding;
}

export interface ReturnResult {
  mbox: { path: string; bytes: number; commits: number; truncated: boolean } | null;
  files: FileChange[];
  edit: WorkspaceEdit | null;
  applied: boolean;
  disk: FileChange[];
  declined: FileChange[];
  conflicts: Conflict[];
  skipped: Skipped[];
  branch?: string;
  unavailable?: { reason: string; message: string; recovered?: { seq: number; at: string } };
}

export interface Check {
  name: string;
  status: 'ok' | 'warn' | 'fail';
  detail: string;
  hint?: string;
}

// What of a file is run, by the runner that the server knows for it: all of it, one of
// its tests, or a part.
export interface RunSubject {
  uri: string;
  name?: string;
  range?: Range;
}

export interface SessionRef {
  session?: string;
}

export interface Progressing {
  workDoneToken?: ProgressToken;
}

export interface OpenParams extends Progressing {
  workspaceFolder?: string;
  runtime?: Runtime;
  attach?: string;
  resume?: string;
  new?: boolean;
  timeoutSeconds?: number;
  unconfined?: 'once' | 'always';
}

export interface ReturnParams extends SessionRef, Progressing {
  apply?: boolean;
  mode?: 'edits' | 'disk' | 'branch';
  paths?: PathRef[];
  confirm?: PathRef[];
  resolutions?: Resolution[];
  allowMassDelete?: boolean;
}

export interface ExecParams extends SessionRef, Progressing {
  execId?: string;
  command?: string;
  argv?: string[];
  run?: RunSubject;
  cwd?: string;
  env?: Record<string, string>;
  timeoutMs?: number;
  stdin?: Payload;
  keepStdin?: boolean;
  pty?: { rows: number; cols: number };
  stream?: boolean;
  windowBytes?: number;
  sync?: boolean;
  maxOutputBytes?: number;
}

export interface ExecResult {
  execId: string;
  exitCode: number;
  signal?: string;
  timedOut: boolean;
  stdout: Payload;
  stderr: Payload;
  truncated: { stdout: number; stderr: number };
  durationMs: number;
  checkpoint: number;
}

export interface ExecOutput extends Payload {
  session: string;
  execId: string;
  stream: 'stdout' | 'stderr';
}

// Every request, by its method.
export interface Requests {
  'glue/session/open': { params: OpenParams; result: SessionInfo };
  'glue/session/list': { params: Record<string, never>; result: { sessions: SessionInfo[] } };
  'glue/session/status': { params: SessionRef; result: SessionInfo };
  'glue/session/sync': {
    params: SessionRef & Progressing & { allowMassDelete?: boolean };
    result: { sent: number; bytes: number; conflicts: Conflict[] };
  };
  'glue/session/checkpoint': {
    params: SessionRef & Progressing;
    result: { seq: number; commit: string; changedFiles: number };
  };
  'glue/session/diff': {
    params: SessionRef & Progressing & { path?: string; pathBytes?: string };
    result: { files: FileChange[]; patch: string };
  };
  'glue/session/version': {
    params: SessionRef & { side: 'base' | 'sandbox'; path?: string; pathBytes?: string };
    result: Payload & { size: number };
  };
  'glue/session/return': { params: ReturnParams; result: ReturnResult };
  'glue/session/undo': { params: SessionRef & Progressing; result: ReturnResult };
  'glue/session/discard': {
    params: SessionRef & Progressing & { paths?: PathRef[] };
    result: { files: FileChange[] };
  };
  'glue/session/close': {
    params: ReturnParams & { return?: boolean };
    result: ReturnResult & { terminated: boolean };
  };
  'glue/exec': { params: ExecParams; result: ExecResult };
  'glue/exec/attach': {
    params: Progressing & { execId: string; fromByte?: number; windowBytes?: number };
    result: ExecResult;
  };
  'glue/exec/stdin': {
    params: Payload & { execId: string; eof?: boolean };
    result: Record<string, never>;
  };
  'glue/exec/resize': {
    params: { execId: string; rows: number; cols: number };
    result: Record<string, never>;
  };
  'glue/exec/signal': {
    params: { execId: string; signal: string };
    result: Record<string, never>;
  };
  'glue/exec/list': { params: SessionRef; result: { execs: ExecInfo[] } };
  'workspace/executeCommand': {
    params: { command: string; arguments?: unknown[] };
    result: { started: boolean; execId?: string; session?: string };
  };
  'glue/doctor': {
    params: Progressing & { runtime?: Runtime };
    result: { ok: boolean; checks: Check[] };
  };
}

export type Method = keyof Requests;

// Every notification that the client sends.
export interface ClientNotifications {
  'glue/exec/ack': { execId: string; bytes: number };
}

// Every notification that the server sends.
export interface ServerNotifications {
  'glue/exec/output': ExecOutput;
  'glue/session/changed': { session: SessionInfo };
}

export type FailureKind =
  | 'fileNotFound'
  | 'fileExists'
  | 'notADirectory'
  | 'isADirectory'
  | 'directoryNotEmpty'
  | 'permissionDenied'
  | 'noSpace'
  | 'tooLarge'
  | 'unsupported'
  | 'noSuchSession'
  | 'ambiguousSession'
  | 'sessionBusy'
  | 'sessionLost'
  | 'executorDead'
  | 'runtimeUnavailable'
  | 'notAuthenticated'
  | 'untrusted'
  | 'noSuchExec'
  | 'conflict'
  | 'needsConfirmation'
  | 'unavailable'
  | 'timeout';

// What a RequestFailed error carries.
export interface Failure {
  kind: FailureKind;
  operation: string;
  path?: string;
  session?: string;
  hint?: string;
  checkpoint?: number;
}

const requestCancelled = -32800;
const requestFailed = -32803;

// failureOf gives what the server says about an error of a request, if it says anything.
export function failureOf(error: unknown): Failure | undefined {
  if (!hasCode(error) || error.code !== requestFailed) {
    return undefined;
  }
  const data: unknown = error.data;
  return typeof data === 'object' && data !== null && 'kind' in data
    ? (data as Failure)
    : undefined;
}

// CutOffError is a request that the server's end left without an answer.
export class CutOffError extends Error {
  constructor(cause: unknown) {
    super('The server ended meanwhile. What sandboxes had changed is kept.', { cause });
  }
}

export function isCancelled(error: unknown): boolean {
  return hasCode(error) && error.code === requestCancelled;
}

// explain is an error for a person: the server's message, with what can be done about it.
export function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const hint = failureOf(error)?.hint;
  return hint === undefined || message.includes(hint) ? message : `${message} (${hint})`;
}

// detailsOf is an error for the log: with its code and all that the server says of it, or
// else where it was thrown, and with what it came from.
export function detailsOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const said = hasCode(error) ? `${error.message} ${JSON.stringify(codeAndData(error))}` : '';
  const text = said === '' ? (error.stack ?? error.message) : said;
  return error.cause === undefined ? text : `${text}\ncaused by: ${detailsOf(error.cause)}`;
}

function codeAndData({ code, data }: { code: unknown; data?: unknown }): object {
  return data === undefined ? { code } : { code, data };
}

function hasCode(error: unknown): error is { code: number; data?: unknown } {
  return typeof error === 'object' && error !== null && 'code' in error;
}

// bytesOf decodes a payload.
export function bytesOf(p: Payload): Uint8Array {
  return Buffer.from(p.data, p.encoding === 'base64' ? 'base64' : 'utf8');
}
