// Starts one server: its process, the client that talks to it, and the check that it is the
// right program.
import type { LogOutputChannel } from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { CloseAction, ErrorAction } from 'vscode-languageclient/node';
import { explain } from '../protocol';
import type { Settings } from '../settings/split';
import { programName } from './binary';
import { GlueClient } from './client';
import type { Server } from './lifecycle';
import { ServerProcess } from './process';
import { checkVersion, WrongServer } from './version';

const answerWithinMs = 20_000;
const stopWithinMs = 4_000;
const endWithinMs = 20_000;
const goneWithinMs = 1_000;

const isIt = `Is it ${programName}?`;

export interface LaunchOptions {
  log: LogOutputChannel;
  middleware: Middleware;
  settings: () => Settings;
  // connected is called with each new client, before it starts.
  connected: (client: GlueClient) => void;
}

export async function launch(file: string, o: LaunchOptions): Promise<Server<GlueClient>> {
  let started: ServerProcess;
  try {
    started = await ServerProcess.start(file, o.log);
  } catch (error) {
    throw new Error(`The server ${file} could not be started: ${explain(error)}.`, {
      cause: error,
    });
  }
  const launched = new Launched(started, o);
  try {
    await answered(launched.client, started, file);
    checkVersion(launched.client.initializeResult, file);
    return launched;
  } catch (error) {
    await launched.abandon();
    throw error;
  }
}

class Launched implements Server<GlueClient> {
  readonly client: GlueClient;
  private isGone = false;
  private onGone: (() => void) | undefined;

  constructor(
    private readonly process: ServerProcess,
    private readonly o: LaunchOptions,
  ) {
    this.client = new GlueClient(
      () => Promise.resolve({ process: process.child, detached: true }),
      {
        documentSelector: [{ scheme: 'file' }],
        outputChannel: o.log,
        initializationOptions: () => ({ glue: o.settings() }),
        initializationFailedHandler: () => false,
        middleware: o.middleware,
        // Standard error is read by the process's owner, from its first line on.
        stdioOptions: { stdout: () => undefined, stderr: () => undefined },
        errorHandler: {
          error: () => ({ action: ErrorAction.Continue, handled: true }),
          closed: () => {
            this.gone();
            const message = 'The connection to the server ended.';
            return { action: CloseAction.DoNotRestart, handled: true, message };
          },
        },
      },
    );
    void process.ended.then(() => {
      this.gone();
    });
    o.connected(this.client);
  }

  whenGone(then: () => void): void {
    this.onGone = then;
    if (this.isGone) {
      then();
    }
  }

  async stop(wait: boolean): Promise<void> {
    try {
      await this.client.dispose(stopWithinMs);
    } catch (error) {
      this.o.log.warn(`The server did not confirm its end: ${explain(error)}`);
    } finally {
      if (wait) {
        await this.process.end(endWithinMs);
      } else {
        this.process.letGo();
      }
    }
  }

  async bury(): Promise<string> {
    await this.process.end(endWithinMs);
    await this.client.dispose(1).catch(() => undefined);
    return this.process.ended;
  }

  // abandon ends a program that is no use. Nothing is in its sandboxes yet, so that it may
  // be ended at once.
  async abandon(): Promise<void> {
    await this.client.dispose(1).catch(() => undefined);
    await this.process.end(goneWithinMs);
  }

  private gone(): void {
    if (!this.isGone) {
      this.isGone = true;
      this.onGone?.();
    }
  }
}

// answered returns when the server has answered to initialize.
async function answered(client: GlueClient, started: ServerProcess, file: string): Promise<void> {
  const timers: NodeJS.Timeout[] = [];
  const after = (ms: number, message: string): Promise<never> =>
    new Promise((_, reject) => {
      timers.push(
        setTimeout(() => {
          reject(new WrongServer(message));
        }, ms),
      );
    });
  const gone = started.ended.then((how): never => {
    throw new WrongServer(`${file} ended before it answered (${how}). ${isIt}`);
  });
  gone.catch(() => undefined); // it ends some time later in any case
  const seconds = answerWithinMs / 1000;
  const late = after(answerWithinMs, `${file} did not answer within ${seconds} s. ${isIt}`);
  try {
    await Promise.race([client.start(), late, gone]);
  } catch (error) {
    if (error instanceof WrongServer) {
      throw error;
    }
    // A pipe that broke says less than the end of the process behind it.
    await Promise.race([gone, after(goneWithinMs, `${file}: ${explain(error)}. ${isIt}`)]);
  } finally {
    timers.forEach(clearTimeout);
  }
}
