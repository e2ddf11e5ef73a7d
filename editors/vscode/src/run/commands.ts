// The commands that run something. Lenses and code actions of the server call them with
// arguments, the palette and menus without.
import * as vscode from 'vscode';
import type { Range as LspRange } from 'vscode-languageclient/node';
import { chooseFolder, folderOf } from '../folders';
import { tell } from '../failures';
import type { Glue } from '../glue';
import { remember } from './history';
import type { Outputs } from './output';
import type { Job, Runner } from './runner';
import * as messages from '../messages';

const historyKey = 'glue.history';
const lastKey = 'glue.last';

interface Arguments {
  session?: string;
  command?: string;
  cwd?: string;
  uri?: string;
  name?: string;
  range?: LspRange;
  execId?: string;
}

// What is kept of the last job from one window to the next.
type LastJob = Omit<Job, 'folder' | 'session'> & { folder: string };

export function registerRunCommands(glue: Glue, runner: Runner, outputs: Outputs): void {
  const commands = new RunCommands(glue, runner, outputs);
  const register = (id: string, run: (argument: unknown) => Promise<unknown>): void => {
    glue.context.subscriptions.push(vscode.commands.registerCommand(id, run));
  };
  register('glue.run', (a) => commands.run(given(a)));
  register('glue.runFile', (a) => commands.runFile(given(a)));
  register('glue.runSelection', (a) => commands.runSelection(given(a)));
  register('glue.runTest', (a) => commands.runTest(given(a)));
  register('glue.runLast', () => commands.runLast());
  register('glue.cancel', () => commands.cancel());
  register('glue.showOutput', (a) => commands.showOutput(given(a)));
}

// given reads a command's argument: the server's object, or the file that a menu names.
function given(argument: unknown): Arguments {
  if (argument instanceof vscode.Uri) {
    return { uri: argument.toString() };
  }
  return typeof argument === 'object' && argument !== null ? argument : {};
}

class RunCommands {
  constructor(
    private readonly glue: Glue,
    private readonly runner: Runner,
    private readonly outputs: Outputs,
  ) {}

  async run(a: Arguments): Promise<unknown> {
    const folder = await this.folderFor(a);
    const command = a.command ?? (folder === undefined ? undefined : await this.askCommand());
    if (folder === undefined || command === undefined || command.trim() === '') {
      return undefined;
    }
    return this.start({
      title: command,
      folder,
      what: a.cwd === undefined ? { command } : { command, cwd: a.cwd },
      session: a.session,
    });
  }

  async runFile(a: Arguments): Promise<unknown> {
    const uri = uriOf(a);
    return this.runOf(a, uri, nameOf(uri), {});
  }

  async runSelection(a: Arguments): Promise<unknown> {
    const uri = uriOf(a);
    const range = a.range ?? selectedRange();
    if (range === undefined) {
      void messages.info('Nothing is selected in the active editor.');
      return undefined;
    }
    return this.runOf(a, uri, `selection of ${nameOf(uri)}`, { range });
  }

  async runTest(a: Arguments): Promise<unknown> {
    const uri = uriOf(a);
    const name = a.name ?? (await this.testAtCursor(uri));
    if (name === undefined) {
      void messages.info('There is no test at the cursor that can be run.');
      return undefined;
    }
    return this.runOf(a, uri, `${name} in ${nameOf(uri)}`, { name });
  }

  async runLast(): Promise<unknown> {
    const job = this.runner.lastJob ?? this.keptJob();
    return job === undefined ? this.run({}) : this.start({ ...job, session: undefined });
  }

  async cancel(): Promise<void> {
    const running = this.runner.running;
    if (running.length > 1) {
      const picked = await messages.pickSome(
        running.map((r) => ({ label: r.title, execId: r.execId })),
        { placeHolder: 'The command to cancel' },
      );
      const chosen = new Set(picked?.map((p) => p.execId));
      for (const r of running.filter((one) => chosen.has(one.execId))) {
        r.cancel.cancel();
      }
      return;
    }
    running[0]?.cancel.cancel();
  }

  // showOutput shows the channel, or with a command's id its whole log.
  async showOutput(a: Arguments): Promise<void> {
    const shown = a.execId === undefined && this.outputs.show();
    const execId = a.execId ?? this.runner.lastExec;
    if (shown) {
      return;
    }
    if (execId === undefined) {
      void messages.info('Nothing was run in a sandbox yet.');
      return;
    }
    await this.openLog(execId);
  }

  async openLog(execId: string): Promise<void> {
    try {
      await this.glue.request('workspace/executeCommand', {
        command: 'glue.showOutput',
        arguments: [{ execId }],
      });
    } catch (error) {
      await tell(this.glue, 'The output was not opened', error);
    }
  }

  private async runOf(
    a: Arguments,
    uri: vscode.Uri | undefined,
    title: string,
    part: { name?: string; range?: LspRange },
  ): Promise<unknown> {
    const folder = uri === undefined ? undefined : folderOf(uri);
    if (uri === undefined || folder === undefined) {
      void messages.info(
        uri === undefined
          ? 'No file is open that could be run.'
          : `${nameOf(uri)} is not in a folder that is open, so that it is in no sandbox.`,
      );
      return undefined;
    }
    return this.start({
      title,
      folder,
      what: { run: { uri: uri.toString(), ...part } },
      session: a.session,
    });
  }

  private async start(job: Job): Promise<unknown> {
    const { title, what } = job;
    const last: LastJob = { title, what, folder: job.folder.uri.toString() };
    await this.glue.context.workspaceState.update(lastKey, last);
    return this.runner.run(job);
  }

  private keptJob(): Job | undefined {
    const kept = this.glue.context.workspaceState.get<LastJob>(lastKey);
    const folder = kept === undefined ? undefined : folderOf(vscode.Uri.parse(kept.folder));
    return kept === undefined || folder === undefined ? undefined : { ...kept, folder };
  }

  private async folderFor(a: Arguments): Promise<vscode.WorkspaceFolder | undefined> {
    const session = a.session === undefined ? undefined : this.glue.sessions.get(a.session);
    const known =
      session === undefined ? undefined : folderOf(vscode.Uri.parse(session.workspaceFolder));
    return known ?? chooseFolder();
  }

  // askCommand lets a person type a command or choose one that they typed before.
  private askCommand(): Promise<string | undefined> {
    const state = this.glue.context.workspaceState;
    const history = state.get<string[]>(historyKey) ?? [];
    const pick = vscode.window.createQuickPick();
    pick.title = 'Run in Sandbox';
    pick.placeholder = 'A shell command, such as: make test';
    const fill = (): void => {
      const typed = pick.value.trim();
      const others = history.filter((c) => c !== typed).map((label) => ({ label }));
      pick.items = typed === '' ? others : [{ label: typed, alwaysShow: true }, ...others];
    };
    fill();
    pick.onDidChangeValue(fill);
    return new Promise((resolve) => {
      pick.onDidAccept(() => {
        const command = pick.activeItems[0]?.label ?? pick.value.trim();
        resolve(command);
        if (command !== '') {
          void state.update(historyKey, remember(history, command));
        }
        pick.hide();
      });
      pick.onDidHide(() => {
        resolve(undefined);
        pick.dispose();
      });
      pick.show();
    });
  }

  // testAtCursor asks the server, which knows where tests begin.
  private async testAtCursor(uri: vscode.Uri | undefined): Promise<string | undefined> {
    const selection = vscode.window.activeTextEditor?.selection;
    if (uri === undefined || selection === undefined) {
      return undefined;
    }
    const actions = await vscode.commands.executeCommand<(vscode.CodeAction | vscode.Command)[]>(
      'vscode.executeCodeActionProvider',
      uri,
      selection,
      'glue.run',
    );
    for (const action of actions) {
      const command = typeof action.command === 'string' ? undefined : action.command;
      if (command?.command === 'glue.runTest') {
        return given(command.arguments?.[0]).name;
      }
    }
    return undefined;
  }
}

function uriOf(a: Arguments): vscode.Uri | undefined {
  return a.uri === undefined
    ? vscode.window.activeTextEditor?.document.uri
    : vscode.Uri.parse(a.uri);
}

function nameOf(uri: vscode.Uri | undefined): string {
  return uri === undefined ? '' : vscode.workspace.asRelativePath(uri);
}

function selectedRange(): LspRange | undefined {
  const selection = vscode.window.activeTextEditor?.selection;
  return selection === undefined || selection.isEmpty
    ? undefined
    : {
        start: { line: selection.start.line, character: selection.start.character },
        end: { line: selection.end.line, character: selection.end.character },
      };
}
