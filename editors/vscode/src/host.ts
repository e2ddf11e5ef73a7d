// The one Glue: requests and notifications over whichever server runs now.
import * as vscode from 'vscode';
import type { Middleware } from 'vscode-languageclient/node';
import { DidChangeConfigurationNotification, WorkDoneProgress } from 'vscode-languageclient/node';
import type { Glue, OnProgress, ServerState } from './glue';
import * as messages from './messages';
import type { ClientNotifications, Method, Requests, ServerNotifications } from './protocol';
import { CutOffError, detailsOf } from './protocol';
import type { GlueClient } from './server/client';
import { Supervisor } from './server/supervisor';
import { Sessions } from './sessions';
import { concernsServerPath, readSettings, section, serverKeys } from './settings/settings';
import { ToldSettings } from './settings/told';

const concernsRunning: ReadonlySet<Method> = new Set([
  'glue/exec/stdin',
  'glue/exec/resize',
  'glue/exec/signal',
]);

type Handler<M extends keyof ServerNotifications> = (params: ServerNotifications[M]) => void;

export class Host implements Glue, vscode.Disposable {
  readonly sessions = new Sessions();
  readonly supervisor: Supervisor;
  private readonly settings: ToldSettings;
  private readonly outputs = new vscode.EventEmitter<ServerNotifications['glue/exec/output']>();
  private readonly changes = new vscode.EventEmitter<ServerNotifications['glue/session/changed']>();
  private tokens = 0;

  constructor(
    readonly context: vscode.ExtensionContext,
    readonly log: vscode.LogOutputChannel,
    middleware: (glue: Glue) => Middleware,
  ) {
    const keys = serverKeys(context.extension);
    this.settings = new ToldSettings(() => readSettings(keys));
    this.supervisor = new Supervisor({
      context,
      log,
      middleware: middleware(this),
      settings: () => this.settings.first(),
      connected: (client) => {
        this.listen(client);
      },
    });
    context.subscriptions.push(
      this.supervisor,
      this.changes.event(({ session }) => {
        this.sessions.set(session);
      }),
      this.onDidChangeState((state) => {
        if (state === 'running') {
          this.sendSettings(); // they may have changed while it was starting
        } else {
          this.sessions.clear();
        }
      }),
      vscode.workspace.onDidChangeConfiguration((e) => {
        if (e.affectsConfiguration(section)) {
          this.sendSettings();
        }
        if (concernsServerPath(e)) {
          void this.offerRestart();
        }
      }),
      vscode.workspace.onDidGrantWorkspaceTrust(() => {
        this.sendSettings();
      }),
    );
  }

  get state(): ServerState {
    return this.supervisor.state;
  }

  get onDidChangeState(): vscode.Event<ServerState> {
    return this.supervisor.onDidChangeState;
  }

  async request<M extends Method>(
    method: M,
    params: Requests[M]['params'],
    // Left out it must not be undefined: the client would send it as a parameter.
    token: vscode.CancellationToken = new vscode.CancellationTokenSource().token,
    onProgress?: OnProgress,
  ): Promise<Requests[M]['result']> {
    // What concerns a command that runs is nothing to start a server for.
    const client = concernsRunning.has(method)
      ? this.supervisor.client
      : await this.supervisor.start();
    if (client === undefined) {
      throw new CutOffError(new Error(`No server runs for ${method}.`));
    }
    if (onProgress === undefined) {
      return this.send<M>(client, method, params, token);
    }
    this.tokens++;
    const workDoneToken = `glue-${this.tokens}`;
    const listening = client.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
      if (value.kind !== 'end') {
        onProgress(value);
      }
    });
    try {
      return await this.send<M>(client, method, { ...params, workDoneToken }, token);
    } finally {
      listening.dispose();
    }
  }

  notify<M extends keyof ClientNotifications>(method: M, params: ClientNotifications[M]): void {
    this.supervisor.client?.sendNotification(method, params).catch((error: unknown) => {
      this.log.debug(`${method} was not sent: ${String(error)}`);
    });
  }

  on<M extends keyof ServerNotifications>(method: M, handler: Handler<M>): vscode.Disposable {
    const emitters: { [N in keyof ServerNotifications]: vscode.Event<ServerNotifications[N]> } = {
      'glue/exec/output': this.outputs.event,
      'glue/session/changed': this.changes.event,
    };
    return emitters[method](handler);
  }

  dispose(): void {
    this.outputs.dispose();
    this.changes.dispose();
    this.sessions.dispose();
  }

  private async send<M extends Method>(
    client: GlueClient,
    method: M,
    params: object,
    token: vscode.CancellationToken,
  ): Promise<Requests[M]['result']> {
    try {
      return await client.sendRequest<Requests[M]['result']>(method, params, token);
    } catch (error) {
      const isThere = client.isRunning() && this.supervisor.client === client;
      throw isThere ? error : new CutOffError(error);
    }
  }

  private listen(client: GlueClient): void {
    client.onNotification('glue/exec/output', (p: ServerNotifications['glue/exec/output']) => {
      this.outputs.fire(p);
    });
    client.onNotification(
      'glue/session/changed',
      (p: ServerNotifications['glue/session/changed']) => {
        this.changes.fire(p);
      },
    );
  }

  private sendSettings(): void {
    const client = this.supervisor.client;
    const news = client && this.settings.news();
    if (news !== undefined) {
      client
        ?.sendNotification(DidChangeConfigurationNotification.type, { settings: { glue: news } })
        .catch((error: unknown) => {
          this.log.warn(`The settings were not sent: ${detailsOf(error)}`);
        });
    }
  }

  private async offerRestart(): Promise<void> {
    if (this.state === 'stopped') {
      return; // the next start reads it
    }
    if (this.state !== 'running') {
      this.supervisor.restart().catch(() => undefined);
      return;
    }
    const restart = 'Restart Server';
    const chosen = await messages.info(
      'glue.serverPath counts from the next start of the server. Restarting ends open ' +
        'sandboxes; their changes are kept.',
      restart,
    );
    if (chosen === restart) {
      await vscode.commands.executeCommand('glue.restartServer');
    }
  }
}
