// Which session a command is for, where several could be meant.
import * as vscode from 'vscode';
import { usableFolders } from './folders';
import * as messages from './messages';
import type { SessionInfo } from './protocol';
import { files } from './run/outcome';
import { isOpen, sameFolder } from './sessions';

// chooseSession gives the session that was named, the only candidate, or the one that the
// person picks. Where there is none it says so.
export async function chooseSession(
  named: string | undefined,
  candidates: readonly SessionInfo[],
): Promise<string | undefined> {
  if (named !== undefined) {
    return named;
  }
  if (candidates.length === 0) {
    void messages.info('No sandbox is open, and none has changes that wait.');
    return undefined;
  }
  if (candidates.length === 1) {
    return candidates[0]?.id;
  }
  const picked = await messages.pick(candidates.map(sessionItem), {
    placeHolder: 'Which sandbox?',
  });
  return picked?.session.id;
}

interface SessionItem extends vscode.QuickPickItem {
  session: SessionInfo;
}

// sessionItem is a session in a list.
export function sessionItem(session: SessionInfo): SessionItem {
  const folder = vscode.Uri.parse(session.workspaceFolder);
  const known = usableFolders().find((f) => sameFolder(session, f.uri));
  const changed = session.checkpoint.changedFiles;
  const state = isOpen(session) ? session.state : `ended (${session.state})`;
  return {
    label: `${isOpen(session) ? '$(vm-running)' : '$(vm-outline)'} ${known?.name ?? folder.fsPath}`,
    description: `${session.runtime}, ${session.isolation}: ${state}`,
    detail:
      (changed === 0 ? 'nothing to return' : `${files(changed)} to return`) +
      `, since ${new Date(session.createdAt).toLocaleString()}`,
    session,
  };
}
