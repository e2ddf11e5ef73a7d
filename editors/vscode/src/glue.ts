// What the parts of the extension share. extension.ts makes one and hands it to each part.
import type * as vscode from 'vscode';
import type { WorkDoneProgressBegin, WorkDoneProgressReport } from 'vscode-languageclient/node';
import type { ClientNotifications, Method, Requests, ServerNotifications } from './protocol';
import type { Sessions } from './sessions';

export type ServerState = 'stopped' | 'starting' | 'running' | 'failed';

export type OnProgress = (value: WorkDoneProgressBegin | WorkDoneProgressReport) => void;

export interface Glue {
  // subscriptions, state that is kept, and where the extension is.
  readonly context: vscode.ExtensionContext;
  readonly log: vscode.LogOutputChannel;
  // The sessions that the server told of, emptied when it stops.
  readonly sessions: Sessions;

  readonly state: ServerState;
  // Fired after each change; state is the new one. 'running' comes again after a restart.
  readonly onDidChangeState: vscode.Event<ServerState>;

  // request starts the server where it does not run. A token that is cancelled cancels
  // the request in the server; onProgress gives the method a progress token.
  request<M extends Method>(
    method: M,
    params: Requests[M]['params'],
    token?: vscode.CancellationToken,
    onProgress?: OnProgress,
  ): Promise<Requests[M]['result']>;
  // notify is dropped where no server runs.
  notify<M extends keyof ClientNotifications>(method: M, params: ClientNotifications[M]): void;
  // on stays registered when the server restarts.
  on<M extends keyof ServerNotifications>(
    method: M,
    handler: (params: ServerNotifications[M]) => void,
  ): vscode.Disposable;
}
