// Keeps one server for the window: finds it, starts it, starts it again when it ends by
// itself, and tells the person when that does not help.
import * as os from 'node:os';
import { accessSync, constants, statSync } from 'node:fs';
import * as vscode from 'vscode';
import type { ServerState } from '../glue';
import * as messages from '../messages';
import { detailsOf, explain } from '../protocol';
import { namedServer } from '../settings/settings';
import type { Found } from './binary';
import { NotFound, findServer, programName } from './binary';
import type { GlueClient } from './client';
import type { LaunchOptions } from './launch';
import { launch } from './launch';
import { Lifecycle } from './lifecycle';
import { Restarts } from './restarts';
import { WrongServer } from './version';

export interface Options extends LaunchOptions {
  context: vscode.ExtensionContext;
}

export class Supervisor implements vscode.Disposable {
  private readonly stateChanged = new vscode.EventEmitter<ServerState>();
  private readonly lifecycle: Lifecycle<GlueClient>;

  // Fired after each change, with the new state.
  readonly onDidChangeState = this.stateChanged.event;

  constructor(private readonly o: Options) {
    const duties = {
      launch: () => {
        const found = this.find();
        o.log.info(`Starting ${found.file} (${origins[found.from]})`);
        return launch(found.file, o);
      },
      changed: (state: ServerState) => {
        this.stateChanged.fire(state);
      },
      lost: (how: string) => {
        o.log.error(`The server ended unexpectedly (${how}).`);
      },
      failed: (error: unknown) => this.tellFailure(error),
      gaveUp: (how: string) => this.tellGaveUp(how),
    };
    this.lifecycle = new Lifecycle(duties, new Restarts(Date.now));
  }

  get state(): ServerState {
    return this.lifecycle.state;
  }

  get client(): GlueClient | undefined {
    return this.lifecycle.client;
  }

  start(): Promise<GlueClient> {
    return this.lifecycle.start();
  }

  restart(): Promise<void> {
    return this.lifecycle.restart();
  }

  // deactivate ends the session in good order, and returns when the server knows of it:
  // deactivation has five seconds, and the server goes on by itself.
  deactivate(): Promise<void> {
    return this.lifecycle.close();
  }

  dispose(): void {
    this.stateChanged.dispose();
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

  private tellFailure(error: unknown): string {
    this.o.log.error(`No server: ${detailsOf(error)}`);
    const why = explain(error);
    const isMissing = error instanceof NotFound || error instanceof WrongServer;
    const isNamed = error instanceof NotFound && error.bySetting;
    const buttons = isMissing ? [openSetting, tryAgain, showLog] : [tryAgain, showLog];
    void ask(isNamed ? why : `Glue: ${why}`, buttons);
    return why;
  }

  private tellGaveUp(how: string): string {
    const text =
      `The glue server ended unexpectedly several times, last with ${how}. ` +
      'What sandboxes had changed until then is kept and will be offered.';
    this.o.log.error(text);
    void ask(text, [restartServer, showLog]);
    return text;
  }
}

interface Button {
  title: string;
  command: string;
  argument?: string;
}

const restartServer: Button = { title: 'Restart Server', command: 'glue.restartServer' };
const tryAgain: Button = { title: 'Try Again', command: 'glue.restartServer' };
const showLog: Button = { title: 'Show Log', command: 'glue.showLog' };
const openSetting: Button = {
  title: 'Open Setting',
  command: 'workbench.action.openSettings',
  argument: 'glue.serverPath',
};

async function ask(text: string, buttons: readonly Button[]): Promise<void> {
  const chosen = await messages.error(text, ...buttons.map((b) => b.title));
  const pressed = buttons.find((b) => b.title === chosen);
  if (pressed !== undefined) {
    await vscode.commands.executeCommand(pressed.command, pressed.argument);
  }
}

const origins: Record<Found['from'], string> = {
  setting: 'named by glue.serverPath',
  bundled: 'bundled with the extension',
  path: 'found on PATH',
};

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
