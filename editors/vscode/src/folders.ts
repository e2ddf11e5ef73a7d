// The workspace folders that can be sent to a sandbox: those on this machine's disk.
import * as vscode from 'vscode';
import * as messages from './messages';

export function usableFolders(): vscode.WorkspaceFolder[] {
  return (vscode.workspace.workspaceFolders ?? []).filter((f) => f.uri.scheme === 'file');
}

export function folderOf(uri: vscode.Uri): vscode.WorkspaceFolder | undefined {
  const folder = vscode.workspace.getWorkspaceFolder(uri);
  return folder?.uri.scheme === 'file' ? folder : undefined;
}

// currentFolder is the one of the active editor, or the only one.
export function currentFolder(): vscode.WorkspaceFolder | undefined {
  const active = vscode.window.activeTextEditor?.document.uri;
  const folders = usableFolders();
  const only = folders.length === 1 ? folders[0] : undefined;
  return (active === undefined ? undefined : folderOf(active)) ?? only;
}

// chooseFolder asks where it is not certain which folder is meant. Where none is open it
// says so.
export async function chooseFolder(): Promise<vscode.WorkspaceFolder | undefined> {
  const current = currentFolder();
  if (current !== undefined) {
    return current;
  }
  const folders = usableFolders();
  if (folders.length === 0) {
    await tellNoFolder();
    return undefined;
  }
  const picked = await messages.pick(
    folders.map((folder) => ({ label: folder.name, description: folder.uri.fsPath, folder })),
    { placeHolder: 'The folder that goes into the sandbox' },
  );
  return picked?.folder;
}

async function tellNoFolder(): Promise<void> {
  const open = 'Open Folder';
  const virtual = (vscode.workspace.workspaceFolders ?? []).length > 0;
  const chosen = await messages.info(
    virtual
      ? 'This folder is not on the disk, so that it cannot be sent to a sandbox. Open one that is.'
      : 'No folder is open. A sandbox gets the folder that is open in the editor.',
    open,
  );
  if (chosen === open) {
    await vscode.commands.executeCommand('workbench.action.files.openFolder');
  }
}
