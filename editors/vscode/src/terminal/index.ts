// The sandbox terminal: a command, a terminal profile, and terminals that come back after
// the window was reloaded.
import * as vscode from 'vscode';
import { currentFolder, usableFolders } from '../folders';
import type { Glue } from '../glue';
import { isOpen } from '../sessions';
import { SandboxTerminal } from './pty';
import type { Attach } from './pty';

const profileId = 'glue.terminal';
const keptKey = 'glue.terminals';
const name = 'Sandbox';

// A session that goes on is found again within this time after the start of the server.
const foundAgainWithinMs = 5_000;

export function registerTerminal(glue: Glue): void {
  const open = (attach?: Attach): vscode.ExtensionTerminalOptions => ({
    name,
    iconPath: new vscode.ThemeIcon('package'),
    pty: new SandboxTerminal(glue, currentFolder() ?? usableFolders()[0], attach, (running) => {
      remember(glue.context.workspaceState, attach, running);
      attach = running ?? attach;
    }),
    isTransient: true, // it is brought back here, with its command
  });
  glue.context.subscriptions.push(
    vscode.commands.registerCommand('glue.terminal', async () => {
      await opened(vscode.window.createTerminal(open()));
      // show() alone leaves the keyboard where it was in some layouts.
      await vscode.commands.executeCommand('workbench.action.terminal.focus');
    }),
    vscode.window.registerTerminalProfileProvider(profileId, {
      provideTerminalProfile: () => new vscode.TerminalProfile(open()),
    }),
    vscode.window.onDidCloseTerminal((terminal) => {
      const pty = 'pty' in terminal.creationOptions ? terminal.creationOptions.pty : undefined;
      if (
        pty instanceof SandboxTerminal &&
        terminal.exitStatus?.reason !== vscode.TerminalExitReason.Shutdown
      ) {
        pty.kill();
      }
    }),
    comeBack(glue, (attach) => {
      vscode.window.createTerminal(open(attach)).show(true);
    }),
  );
}

// opened shows a terminal once it is there: a panel that is shown without one opens a shell
// of the host.
async function opened(terminal: vscode.Terminal): Promise<void> {
  if (!vscode.window.terminals.includes(terminal)) {
    await new Promise<void>((resolve) => {
      const listener = vscode.window.onDidOpenTerminal((one) => {
        if (one === terminal) {
          listener.dispose();
          resolve();
        }
      });
    });
  }
  await terminal.processId; // it is in the panel's list by then
  terminal.show();
}

// comeBack opens the terminals again that were open when the window was reloaded: with
// their commands, where those still run, or else with a word that they are gone.
function comeBack(glue: Glue, reopen: (attach: Attach) => void): vscode.Disposable {
  const waiting = new Map(kept(glue.context.workspaceState).map((k) => [k.execId, k]));
  void glue.context.workspaceState.update(keptKey, []);
  const take = (found: Attach) => {
    if (waiting.delete(found.execId)) {
      reopen(found);
    }
  };
  let timer: NodeJS.Timeout | undefined;
  return vscode.Disposable.from(
    glue.sessions.onDidChange((info) => {
      for (const found of waiting.values()) {
        const runs = info?.execs.some((e) => e.execId === found.execId) === true;
        if (runs || (info?.id === found.session && !isOpen(info))) {
          take(found);
        }
      }
    }),
    glue.onDidChangeState((state) => {
      if (state === 'running' && waiting.size > 0) {
        timer ??= setTimeout(() => {
          [...waiting.values()].forEach(take);
        }, foundAgainWithinMs);
      }
    }),
    {
      dispose: () => {
        clearTimeout(timer);
      },
    },
  );
}

function kept(memento: vscode.Memento): Attach[] {
  return memento.get<Attach[]>(keptKey, []);
}

function remember(
  memento: vscode.Memento,
  was: Attach | undefined,
  running: Attach | undefined,
): void {
  const others = kept(memento).filter(
    (k) => k.execId !== was?.execId && k.execId !== running?.execId,
  );
  void memento.update(keptKey, running === undefined ? others : [...others, running]);
}
