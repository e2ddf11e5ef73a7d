// Runs something in a folder's sandbox and shows what it prints while it comes.
import { randomUUID } from 'node:crypto';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { tell } from '../failures';
import type { Glue } from '../glue';
import type { ExecParams, ExecResult, RunSubject, SessionInfo } from '../protocol';
import { CutOffError, explain, failureOf, isCancelled } from '../protocol';
import { plainLine } from './clean';
import type { Channel, Outputs } from './output';
import { Stream, windowBytes } from './output';
import { exitText, offerChanges, offerLog, tellExit } from './outcome';
import { resumed } from './resumed';

export interface Job {
  title: string;
  folder: vscode.WorkspaceFolder;
  // Either a shell command, or what of a file is run.
  what: Pick<ExecParams, 'command' | 'cwd'> | { run: RunSubject };
  session?: string;
}

interface Running {
  execId: string;
  title: string;
  cancel: vscode.CancellationTokenSource;
}

export class Runner {
  private readonly current = new Map<string, Running>();
  private readonly busy = new vscode.EventEmitter<void>();
  private runs = 0;
  private last: Job | undefined;
  private lastExecId: string | undefined;

  readonly onDidChangeRunning = this.busy.event;

  constructor(
    private readonly glue: Glue,
    private readonly outputs: Outputs,
  ) {}

  get running(): readonly Running[] {
    return [...this.current.values()];
  }

  get lastJob(): Job | undefined {
    return this.last;
  }

  // lastExec names the newest command, whose log the server can open.
  get lastExec(): string | undefined {
    return this.lastExecId;
  }

  // run gives the result, or nothing where the person was told why there is none.
  async run(job: Job): Promise<ExecResult | undefined> {
    this.last = job;
    const channel = this.outputs.of(job.folder);
    channel.show(true);
    const cancel = new vscode.CancellationTokenSource();
    const execId = `vscode-${randomUUID()}`;
    this.current.set(execId, { execId, title: job.title, cancel });
    this.busy.fire();
    try {
      return await vscode.window.withProgress(
        {
          location: vscode.ProgressLocation.Notification,
          title: `Sandbox: ${plainLine(job.title, 80)}`,
          cancellable: true,
        },
        async (progress, token) => {
          token.onCancellationRequested(() => {
            cancel.cancel();
          });
          return this.show(job, execId, channel, progress, cancel.token);
        },
      );
    } finally {
      this.current.delete(execId);
      this.busy.fire();
      cancel.dispose();
    }
  }

  private async show(
    job: Job,
    execId: string,
    channel: Channel,
    progress: vscode.Progress<{ message?: string }>,
    token: vscode.CancellationToken,
  ): Promise<ExecResult | undefined> {
    this.runs++;
    channel.begin(this.runs, job.title, basesOf(job));
    const stream = new Stream(channel, (bytes) => {
      this.glue.notify('glue/exec/ack', { execId, bytes });
    });
    const listening = this.glue.on('glue/exec/output', (p) => {
      if (p.execId === execId) {
        stream.push(p);
      }
    });
    const report: Report = (value) => {
      progress.report({ message: plainLine(value.message ?? '', 120) });
    };
    try {
      const session = await this.session(job, report, token);
      this.lastExecId = execId;
      const result = await this.execute(job, session, execId, stream, report, token);
      const whole = await stream.finish();
      channel.end(exitText(result));
      if (!whole) {
        void offerLog(execId);
      }
      void tellExit(job, result, () => this.run(job));
      void offerChanges(this.glue, session, result);
      return result;
    } catch (error) {
      await stream.finish();
      const cancelled = isCancelled(error) || token.isCancellationRequested;
      channel.end(cancelled ? 'cancelled' : explain(error));
      if (!cancelled) {
        void this.tellFailure(job, error);
      }
      return undefined;
    } finally {
      listening.dispose();
    }
  }

  // execute runs the job. A server that dies leaves the command running: the next one
  // goes on with its sandbox, and the output is taken up where it was cut off.
  private async execute(
    job: Job,
    session: SessionInfo,
    execId: string,
    stream: Stream,
    report: Report,
    token: vscode.CancellationToken,
  ): Promise<ExecResult> {
    const params = { session: session.id, execId, stream: true, windowBytes, ...job.what };
    try {
      return await this.glue.request('glue/exec', params, token, report);
    } catch (error) {
      report({ message: 'the server ended; waiting for the next one' });
      const cutOff = error instanceof CutOffError;
      if (!cutOff || !(await resumed(this.glue, session.id, execId, token))) {
        throw error;
      }
    }
    report({ message: 'running' });
    const cancelling = token.onCancellationRequested(() => {
      const signal = { execId, signal: 'SIGTERM' };
      this.glue.request('glue/exec/signal', signal).catch(() => undefined);
    });
    try {
      const fromByte = stream.received;
      return await this.glue.request(
        'glue/exec/attach',
        { execId, fromByte, windowBytes },
        undefined,
        report,
      );
    } finally {
      cancelling.dispose();
    }
  }

  private async session(
    job: Job,
    report: Report,
    token: vscode.CancellationToken,
  ): Promise<SessionInfo> {
    if (job.session !== undefined) {
      return this.glue.request('glue/session/status', { session: job.session }, token);
    }
    const open = this.glue.sessions.ofFolder(job.folder.uri);
    return open?.state === 'ready' ? open : this.open(job, false, report, token);
  }

  private async open(
    job: Job,
    separate: boolean,
    report: Report,
    token: vscode.CancellationToken | undefined,
  ): Promise<SessionInfo> {
    report({ message: 'opening the sandbox' });
    const params = { workspaceFolder: job.folder.uri.toString(), new: separate };
    try {
      const info = await this.glue.request('glue/session/open', params, token, report);
      this.glue.sessions.set(info);
      return info;
    } catch (error) {
      throw failureOf(error)?.kind === 'sessionBusy' ? new OpenElsewhere(job, error) : error;
    }
  }

  private async tellFailure(job: Job, error: unknown): Promise<void> {
    if (!(error instanceof OpenElsewhere)) {
      const what = error instanceof CutOffError ? 'was cut off' : 'did not run';
      await tell(`${plainLine(job.title, 80)} ${what}`, error);
      return;
    }
    const separate = 'Open Separate Sandbox';
    this.glue.log.info(explain(error.cause));
    const chosen = await vscode.window.showWarningMessage(error.message, separate);
    if (chosen === separate) {
      try {
        const info = await this.open(job, true, () => undefined, undefined);
        await this.run({ ...job, session: info.id });
      } catch (failure) {
        await tell('The sandbox was not opened', failure);
      }
    }
  }
}

type Report = (value: { message?: string }) => void;

// OpenElsewhere is what a second window on a folder meets.
class OpenElsewhere extends Error {
  constructor(job: Job, cause: unknown) {
    super(`Another window has a sandbox open on ${job.folder.name}.`, { cause });
  }
}

// Runners start in the file's folder, so that relative names in their output begin there.
function basesOf(job: Job): string[] {
  if (!('run' in job.what)) {
    return job.what.cwd === undefined || path.isAbsolute(job.what.cwd) ? [] : [job.what.cwd];
  }
  const file = vscode.Uri.parse(job.what.run.uri).fsPath;
  return [path.relative(job.folder.uri.fsPath, path.dirname(file))];
}
