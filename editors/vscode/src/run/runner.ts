// Runs something in a folder's sandbox and shows what it prints while it comes.
import { randomUUID } from 'node:crypto';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { confirming } from '../confirm';
import { tell } from '../failures';
import type { Glue } from '../glue';
import * as messages from '../messages';
import type { ExecParams, ExecResult, RunSubject, SessionInfo } from '../protocol';
import { CutOffError, explain, isCancelled } from '../protocol';
import { sandboxOf } from '../sandbox';
import { plainLine } from './clean';
import { follow } from './follow';
import type { Channel, Outputs } from './output';
import { Stream, windowBytes } from './output';
import { exitText, offerChanges, offerLog, tellExit } from './outcome';

// A command that does not end by itself when it is cancelled is ended by force.
const stopWithinMs = 5_000;

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
      return await messages.progress(
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

  // execute runs the job, also where the server ends before it.
  private async execute(
    job: Job,
    session: SessionInfo,
    execId: string,
    stream: Stream,
    report: Report,
    token: vscode.CancellationToken,
  ): Promise<ExecResult> {
    const params = { session: session.id, execId, stream: true, windowBytes, ...job.what };
    let stopping: vscode.Disposable | undefined;
    try {
      return await follow(this.glue, {
        session: session.id,
        execId,
        first: () =>
          confirming(this.glue, () => this.glue.request('glue/exec', params, token, report), token),
        again: () => {
          const from = { execId, fromByte: stream.received, windowBytes };
          return this.glue.request('glue/exec/attach', from, undefined, report);
        },
        cutOff: () => {
          report({ message: 'the server ended; waiting for the next one' });
        },
        goesOn: () => {
          report({ message: 'running' });
          stopping?.dispose();
          stopping = token.onCancellationRequested(() => void this.stop(execId));
        },
      });
    } finally {
      stopping?.dispose();
    }
  }

  // stop ends a command that is only followed: cancelling the request leaves it alone.
  private async stop(execId: string): Promise<void> {
    const signal = async (name: string): Promise<void> => {
      try {
        await this.glue.request('glue/exec/signal', { execId, signal: name });
      } catch (error) {
        this.glue.log.debug(`${name} for ${execId}: ${explain(error)}`);
      }
    };
    await signal('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, stopWithinMs));
    if (this.current.has(execId)) {
      await signal('SIGKILL');
    }
  }

  private session(job: Job, report: Report, token: vscode.CancellationToken): Promise<SessionInfo> {
    if (job.session !== undefined) {
      return this.glue.request('glue/session/status', { session: job.session }, token);
    }
    report({ message: 'opening the sandbox' });
    return sandboxOf(this.glue, job.folder, report, token);
  }

  private async tellFailure(job: Job, error: unknown): Promise<void> {
    const what = error instanceof CutOffError ? 'was cut off' : 'did not run';
    await tell(this.glue, `${plainLine(job.title, 80)} ${what}`, error, () => this.run(job));
  }
}

type Report = (value: { message?: string }) => void;

// Runners start in the file's folder, so that relative names in their output begin there.
function basesOf(job: Job): string[] {
  if (!('run' in job.what)) {
    return job.what.cwd === undefined || path.isAbsolute(job.what.cwd) ? [] : [job.what.cwd];
  }
  const file = vscode.Uri.parse(job.what.run.uri).fsPath;
  return [path.relative(job.folder.uri.fsPath, path.dirname(file))];
}
