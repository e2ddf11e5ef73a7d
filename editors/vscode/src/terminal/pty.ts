// A terminal in the editor whose other end is a command in a sandbox.
import { randomUUID } from 'node:crypto';
import * as vscode from 'vscode';
import { confirming } from '../confirm';
import type { Glue, OnProgress } from '../glue';
import { Pacer } from '../pace';
import { CutOffError, detailsOf, explain, failureOf, isCancelled } from '../protocol';
import type { ExecOutput, ExecResult } from '../protocol';
import { resumed } from '../run/resumed';
import type { Folder } from '../sandbox';
import { sandboxOf } from '../sandbox';
import { OutputDecoder } from './decode';
import { TerminalFilter } from './filter';

// How much output may be under way between the command and the screen, in bytes: two
// pieces of the pacer, so that Ctrl-C shows within a tenth of a second.
const windowBytes = 128 * 1024;

// A shell that does not end by itself when its terminal is closed is ended by force.
const hangUpWithinMs = 3_000;

const reset = '\x1b[0m';
const dim = '\x1b[2m';

export interface Attach {
  execId: string;
  session: string;
}

// Shell is what a person works in: the login shell where there is one, else what there is.
const shell = 'exec "${SHELL:-$(command -v bash || command -v sh)}" -i';

type State = 'new' | 'running' | 'detached' | 'over';

// Gone is that the next server does not have the command any more.
class Gone extends Error {}

export class SandboxTerminal implements vscode.Pseudoterminal {
  private readonly written = new vscode.EventEmitter<string>();
  private readonly closed = new vscode.EventEmitter<number>();
  private readonly decoder = new OutputDecoder();
  private readonly filter = new TerminalFilter();
  private readonly pacer: Pacer;
  private readonly subscriptions: { dispose: () => unknown }[] = [];
  private readonly cancel = new vscode.CancellationTokenSource();
  private execId: string;
  private received = 0; // bytes of output, to go on from after the server was restarted
  private size: { rows: number; cols: number } = { rows: 24, cols: 80 };
  private state: State = 'new';
  private rejoining = false;
  private typed = ''; // before the command runs
  private typing: Promise<unknown> = Promise.resolve();
  private session: string | undefined;

  readonly onDidWrite = this.written.event;
  readonly onDidClose = this.closed.event;

  // onStarted is told which command it is once it runs, and when that is over.
  constructor(
    private readonly glue: Glue,
    private readonly folder: Folder | undefined,
    private readonly attach: Attach | undefined,
    private readonly onStarted: (running: Attach | undefined) => void,
  ) {
    this.execId = attach?.execId ?? `terminal-${randomUUID()}`;
    this.session = attach?.session;
    this.pacer = new Pacer(
      (text) => {
        this.written.fire(text);
      },
      (bytes) => {
        glue.notify('glue/exec/ack', { execId: this.execId, bytes });
      },
    );
    this.subscriptions.push(
      glue.on('glue/exec/output', (output) => {
        this.take(output);
      }),
      glue.sessions.onDidChange((info) => {
        if (this.state === 'new' && info?.execs.some((e) => e.execId === this.execId) === true) {
          this.began();
        }
      }),
      glue.onDidChangeState((state) => {
        if (state === 'running' && this.state === 'detached' && !this.rejoining) {
          void this.run(() => this.rejoin());
        } else if (state === 'failed' && this.state === 'detached') {
          this.over();
          this.say('The server does not start again. Press any key to close this terminal.');
        }
      }),
      this.written,
      this.closed,
      this.cancel,
    );
  }

  open(size: vscode.TerminalDimensions | undefined): void {
    if (size !== undefined) {
      this.size = { rows: size.rows, cols: size.columns };
    }
    void this.run(() => (this.attach === undefined ? this.start() : this.follow(0)));
  }

  // close is called when the terminal goes, also when the window is reloaded: what the
  // person wants is told by kill.
  close(): void {
    this.pacer.dispose();
  }

  // kill ends the command as closing a terminal does.
  kill(): void {
    const was = this.state;
    this.over();
    this.pacer.dispose();
    void this.hangUp(was).finally(() => {
      vscode.Disposable.from(...this.subscriptions).dispose();
    });
  }

  handleInput(data: string): void {
    if (this.state === 'over') {
      this.closed.fire(0); // any key closes a terminal whose command has ended
      return;
    }
    if (this.state !== 'running') {
      this.typed += data;
      return;
    }
    this.send(data);
  }

  setDimensions(size: vscode.TerminalDimensions): void {
    this.size = { rows: size.rows, cols: size.columns };
    if (this.state === 'running') {
      this.resize();
    }
  }

  // run follows one command to its end, or to the end of the server.
  private async run(follow: () => Promise<ExecResult>): Promise<void> {
    try {
      const result = await follow();
      await this.ended(result);
    } catch (error) {
      this.failed(error);
    }
  }

  private async start(): Promise<ExecResult> {
    this.say('Opening the sandbox…');
    if (this.folder === undefined) {
      throw new Error('No folder is open. A sandbox gets the folder that is open in the editor.');
    }
    const { token } = this.cancel;
    const report: OnProgress = ({ message }) => {
      if (message !== undefined && this.state === 'new') {
        this.overwrite(message);
      }
    };
    const info = await sandboxOf(this.glue, this.folder, report, token);
    if (token.isCancellationRequested) {
      throw new vscode.CancellationError(); // it was closed meanwhile
    }
    this.session = info.id;
    this.overwrite('');
    const params = {
      session: info.id,
      execId: this.execId,
      command: shell,
      env: { TERM: 'xterm-256color', COLORTERM: 'truecolor' },
      keepStdin: true,
      pty: this.size,
      stream: true,
      windowBytes,
    };
    return confirming(this.glue, () => this.glue.request('glue/exec', params, token), token);
  }

  private follow(fromByte: number): Promise<ExecResult> {
    this.began();
    return this.glue.request(
      'glue/exec/attach',
      { execId: this.execId, fromByte, windowBytes },
      this.cancel.token,
    );
  }

  // rejoin goes on where the server before left off, once the new one has found the
  // session and its command again.
  private async rejoin(): Promise<ExecResult> {
    this.rejoining = true;
    try {
      if (!(await resumed(this.glue, this.session ?? '', this.execId))) {
        throw new Gone();
      }
    } finally {
      this.rejoining = false;
    }
    if (this.isOver) {
      throw new vscode.CancellationError(); // it was closed meanwhile
    }
    return this.follow(this.received);
  }

  // hangUp ends what the terminal was for: the command is told, also by the next server
  // where this one is just being restarted, and ended by force where it stays.
  private async hangUp(was: State): Promise<void> {
    if (was === 'new') {
      this.cancel.cancel(); // ends the opening, or the command that was just sent
      return;
    }
    if (was === 'over' || this.session === undefined) {
      return;
    }
    if (was === 'detached' && !(await resumed(this.glue, this.session, this.execId))) {
      return;
    }
    if (!(await this.signal('SIGHUP')) || (await this.endsWithin(hangUpWithinMs))) {
      return;
    }
    this.cancel.cancel();
    await this.signal('SIGKILL');
  }

  // signal reports whether the command was there to get it.
  private async signal(signal: string): Promise<boolean> {
    try {
      await this.glue.request('glue/exec/signal', { execId: this.execId, signal });
      return true;
    } catch (error) {
      this.glue.log.debug(`${signal} for ${this.execId}: ${explain(error)}`);
      return false;
    }
  }

  private endsWithin(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (ended: boolean): void => {
        clearTimeout(timer);
        listening.dispose();
        resolve(ended);
      };
      const look = (): void => {
        const info = this.glue.sessions.get(this.session ?? '');
        if (info?.execs.some((e) => e.execId === this.execId) !== true) {
          finish(true);
        }
      };
      const timer = setTimeout(() => {
        finish(false);
      }, ms);
      const listening = this.glue.sessions.onDidChange(look);
    });
  }

  private get isOver(): boolean {
    return this.state === 'over';
  }

  // began is the moment at which the command can take input.
  private began(): void {
    if (this.state === 'running' || this.state === 'over' || this.session === undefined) {
      return;
    }
    this.state = 'running';
    this.onStarted({ execId: this.execId, session: this.session });
    this.resize();
    if (this.typed !== '') {
      this.send(this.typed);
      this.typed = '';
    }
  }

  private take(output: ExecOutput): void {
    if (output.execId !== this.execId || this.state === 'over') {
      return;
    }
    this.began();
    const { text, bytes } = this.decoder.decode(output);
    this.received += bytes;
    this.pacer.push(this.filter.filter(text), bytes);
  }

  private send(data: string): void {
    // One after the other, or a fast typist's letters change places.
    this.typing = this.typing
      .then(() =>
        this.glue.request('glue/exec/stdin', { execId: this.execId, data, encoding: 'utf-8' }),
      )
      .catch((error: unknown) => {
        if (failureOf(error)?.kind !== 'noSuchExec') {
          this.glue.log.debug(`Input of ${this.execId}: ${explain(error)}`);
        }
      });
  }

  private resize(): void {
    this.glue
      .request('glue/exec/resize', { execId: this.execId, ...this.size })
      .catch((error: unknown) => {
        this.glue.log.debug(`Size of ${this.execId}: ${explain(error)}`);
      });
  }

  private async ended(result: ExecResult): Promise<void> {
    this.pacer.push(this.filter.filter(this.decoder.end()), 0);
    await this.pacer.drained();
    this.over();
    if (result.exitCode === 0) {
      this.closed.fire(0);
      return;
    }
    const how =
      result.signal === undefined
        ? `ended with status ${String(result.exitCode)}`
        : `was ended by ${result.signal}`;
    this.say(`The shell ${how}. Press any key to close this terminal.`);
  }

  private failed(error: unknown): void {
    if (this.state === 'over' || isCancelled(error)) {
      return;
    }
    const kind = failureOf(error)?.kind;
    if (this.state === 'running' && error instanceof CutOffError) {
      this.state = 'detached';
      this.say('The server is being restarted; this terminal goes on when it is back.');
      return;
    }
    this.over();
    this.glue.log.error(`The terminal ${this.execId} ended: ${detailsOf(error)}`);
    const gone =
      error instanceof Gone ||
      kind === 'noSuchExec' ||
      kind === 'noSuchSession' ||
      kind === 'sessionLost' ||
      kind === 'executorDead';
    const text = gone
      ? 'The sandbox of this terminal has ended, and its shell with it. What it changed is kept.'
      : explain(error);
    this.say(`${text} Press any key to close this terminal.`);
  }

  private over(): void {
    this.state = 'over';
    this.onStarted(undefined);
  }

  // say writes a line of our own, told apart from what the sandbox prints.
  private say(text: string): void {
    this.written.fire(`${reset}\r\n${dim}${plain(text)}${reset}\r\n`);
  }

  private overwrite(text: string): void {
    this.written.fire(`\x1b[A\r\x1b[2K${dim}${plain(text)}${reset}\r\n`);
  }
}

// plain keeps a message from being more than text.
function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, ' ');
}
