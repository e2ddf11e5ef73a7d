// Keeps one server for the window: finds it, starts it, checks that it is the right one,
// starts it again when it ends by itself, and tells the person when that does not help.
import * as os from 'node:os';
import { accessSync, constants, statSync } from 'node:fs';
import * as vscode from 'vscode';
import type { InitializeResult, Middleware } from 'vscode-languageclient/node';
import { CloseAction, ErrorAction } from 'vscode-languageclient/node';
import type { ServerState } from '../glue';
import * as messages from '../messages';
import { explain, neededMethods, protocolVersion } from '../protocol';
import type { Settings } from '../settings/split';
import { namedServer } from '../settings/settings';
import type { Found } from './binary';
import { NotFound, findServer, programName } from './binary';
import { GlueClient } from './client';
import { ServerProcess } from './process';
import { Restarts } from './restarts';

const answerWithinMs = 20_000;
const stopWithinMs = 4_000;
const endWithinMs = 20_000;
const goneWithinMs = 1_000;

const isIt = `Is it ${programName}?`;

// ToldError is a failure that the person was told of already.
export class ToldError extends Error {}

// Running is one server that has answered, with its connection.
interface Running {
  client: GlueClient;
  process: ServerProcess;
}

export interface Options {
  context: vscode.ExtensionContext;
  log: vscode.LogOutputChannel;
  middleware: Middleware;
  settings: () => Settings;
  // connected is called with each new client, before it starts.
  connected: (client: GlueClient) => void;
}

export class Supervisor implements vscode.Disposable {
  private readonly stateChanged = new vscode.EventEmitter<ServerState>();
  private readonly restarts = new Restarts(Date.now);
  private current: ServerState = 'stopped';
  private running: Running | undefined;
  private starting: Promise<GlueClient> | undefined;
  private stopping: Promise<void> | undefined;
  private disposed = false; // the window goes: nothing starts a server any more

  readonly onDidChangeState = this.stateChanged.event;

  constructor(private readonly o: Options) {}

  get state(): ServerState {
    return this.current;
  }

  get client(): GlueClient | undefined {
    return this.running?.client;
  }

  // start gives the running client. A failure was told to the person when it rejects.
  start(): Promise<GlueClient> {
    if (this.running !== undefined) {
      return Promise.resolve(this.running.client);
    }
    this.starting ??= this.startAfterStop().finally(() => {
      this.starting = undefined;
    });
    return this.starting;
  }

  // The one before has to be gone first: it still has the folder's sandbox.
  private async startAfterStop(): Promise<GlueClient> {
    await this.stopping;
    if (this.disposed) {
      throw new ToldError('This window is closing, so that no server is started.');
    }
    return this.startNew();
  }

  // restart is what a person asks for: earlier failures do not count any more.
  async restart(): Promise<void> {
    this.restarts.reset();
    await this.starting?.catch(() => undefined);
    await this.stop(true);
    await this.start();
  }

  // deactivate ends the session in good order, and returns when the server knows of it:
  // deactivation has five seconds, and the server goes on by itself.
  async deactivate(): Promise<void> {
    this.disposed = true;
    await this.stop(false);
  }

  // stop ends the server; with wait it returns when it is gone.
  private stop(wait: boolean): Promise<void> {
    const was = this.running;
    if (was === undefined) {
      return this.stopping ?? Promise.resolve();
    }
    this.running = undefined;
    this.stopping = this.end(was, wait).finally(() => {
      this.stopping = undefined;
    });
    this.set('stopped');
    return this.stopping;
  }

  private async end(was: Running, wait: boolean): Promise<void> {
    try {
      await was.client.dispose(stopWithinMs);
    } catch (error) {
      this.o.log.warn(`The server did not confirm its end: ${explain(error)}`);
    } finally {
      if (wait) {
        await was.process.end(endWithinMs);
      } else {
        was.process.letGo();
      }
    }
  }

  dispose(): void {
    this.stateChanged.dispose();
  }

  private async startNew(): Promise<GlueClient> {
    this.set('starting');
    try {
      const found = this.find();
      this.o.log.info(`Starting ${found.file} (${origins[found.from]})`);
      const running = await this.launch(found);
      if (this.disposed) {
        await this.end(running, false);
        throw new ToldError('This window is closing.');
      }
      this.running = running;
      void running.process.ended.then(() => {
        this.lost(running);
      });
      this.set('running');
      return running.client;
    } catch (error) {
      if (error instanceof ToldError) {
        throw error;
      }
      this.set('failed');
      this.tellFailure(error);
      throw new ToldError(explain(error));
    }
  }

  private find(): Found {
    return findServer({
      setting: namedServer(),
      bundled: this.o.context.asAbsolutePath(`bin/${programName}`),
      path: process.env['PATH'] ?? '',
      home: os.homedir(),
      isExecutable,
    });
  }

  private async launch(found: Found): Promise<Running> {
    let started: ServerProcess;
    try {
      started = await ServerProcess.start(found.file, this.o.log);
    } catch (error) {
      throw new Error(`The server ${found.file} could not be started: ${explain(error)}.`, {
        cause: error,
      });
    }
    const client = this.newClient(started);
    try {
      await answered(client, started, found.file);
      checkVersion(client.initializeResult, found.file);
      return { client, process: started };
    } catch (error) {
      // Nothing is in its sandboxes yet, so that it may be ended at once.
      await client.dispose(1).catch(() => undefined);
      await started.end(1_000);
      throw error;
    }
  }

  private newClient(started: ServerProcess): GlueClient {
    const client = new GlueClient(
      () => Promise.resolve({ process: started.child, detached: true }),
      {
        documentSelector: [{ scheme: 'file' }],
        outputChannel: this.o.log,
        initializationOptions: () => ({ glue: this.o.settings() }),
        initializationFailedHandler: () => false,
        middleware: this.o.middleware,
        // Standard error is read by the process's owner, from its first line on.
        stdioOptions: { stdout: () => undefined, stderr: () => undefined },
        errorHandler: {
          error: () => ({ action: ErrorAction.Continue, handled: true }),
          closed: () => {
            if (this.running?.client === client) {
              this.lost(this.running);
            }
            const message = 'The connection to the server ended.';
            return { action: CloseAction.DoNotRestart, handled: true, message };
          },
        },
      },
    );
    this.o.connected(client);
    return client;
  }

  // lost is called when a server's connection or process is gone that was not asked to end.
  private lost(was: Running): void {
    if (this.running !== was) {
      return;
    }
    this.running = undefined;
    this.set('starting');
    const again = this.comeBack(was).finally(() => {
      this.starting = undefined;
    });
    again.catch(() => undefined); // it was told
    this.starting = again;
  }

  private async comeBack(was: Running): Promise<GlueClient> {
    await was.process.end(endWithinMs);
    await was.client.dispose(1).catch(() => undefined);
    const how = await was.process.ended;
    this.o.log.error(`The server ended unexpectedly (${how}).`);
    if (this.disposed || this.restarts.allow()) {
      return this.startAfterStop();
    }
    this.set('failed');
    const text =
      `The glue server ended unexpectedly several times, last with ${how}. ` +
      'What sandboxes had changed until then is kept and will be offered.';
    void this.ask(text, [restartButton, logButton]);
    throw new ToldError(text);
  }

  private tellFailure(error: unknown): void {
    this.o.log.error(explain(error));
    const named = error instanceof NotFound ? error.bySetting : false;
    const missing = error instanceof NotFound || error instanceof WrongServer;
    const buttons = missing ? [settingButton, retryButton, logButton] : [retryButton, logButton];
    void this.ask(named ? explain(error) : `Glue: ${explain(error)}`, buttons);
  }

  private async ask(text: string, buttons: Button[]): Promise<void> {
    const titles = buttons.map((b) => b.title);
    const chosen = await messages.error(text, ...titles);
    buttons.find((b) => b.title === chosen)?.press(this);
  }

  showLog(): void {
    this.o.log.show(true);
  }

  private set(state: ServerState): void {
    if (this.current !== state) {
      this.current = state;
      this.stateChanged.fire(state);
    }
  }
}

interface Button {
  title: string;
  press: (s: Supervisor) => void;
}

const pressRestart = (s: Supervisor): void => {
  s.restart().catch(() => undefined);
};
const restartButton: Button = { title: 'Restart Server', press: pressRestart };
const retryButton: Button = { title: 'Try Again', press: pressRestart };
const logButton: Button = {
  title: 'Show Log',
  press: (s) => {
    s.showLog();
  },
};
const settingButton: Button = {
  title: 'Open Setting',
  press: () => {
    void vscode.commands.executeCommand('workbench.action.openSettings', 'glue.serverPath');
  },
};

const origins = {
  setting: 'named by glue.serverPath',
  bundled: 'bundled with the extension',
  path: 'found on PATH',
};

// WrongServer is a program that is not the server, or not one of this version.
class WrongServer extends Error {}

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

function checkVersion(result: InitializeResult | undefined, file: string): void {
  const offer = offerIn(result?.capabilities.experimental);
  if (offer === undefined) {
    throw new WrongServer(`${file} is a language server, but not ${programName}.`);
  }
  const name = `${file} is ${programName} ${result?.serverInfo?.version ?? ''}`.trim();
  if (offer.version !== protocolVersion) {
    const older = offer.version < protocolVersion ? 'server' : 'extension';
    throw new WrongServer(
      `${name} with version ${offer.version} of the protocol, and this extension needs ` +
        `version ${protocolVersion}. Update the ${older}.`,
    );
  }
  const missing = neededMethods.filter((method) => !offer.methods.includes(method));
  if (missing.length > 0) {
    throw new WrongServer(
      `${name}, which is too old for this extension: it lacks ${missing.join(', ')}. ` +
        'Update the server.',
    );
  }
}

interface Offer {
  version: number;
  methods: unknown[];
}

// offerIn reads what the server says of itself, where it is glue-lsp.
function offerIn(experimental: unknown): Offer | undefined {
  const glue = memberOf(experimental, 'glue');
  const version = memberOf(glue, 'version');
  const methods = memberOf(glue, 'methods');
  return typeof version === 'number'
    ? { version, methods: Array.isArray(methods) ? methods : [] }
    : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
