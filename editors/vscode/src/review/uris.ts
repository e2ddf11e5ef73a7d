import * as vscode from 'vscode';
import type { FileChange, SessionInfo } from '../protocol';

// The scheme of what the sandbox holds, at its last checkpoint.
export const SANDBOX = 'glue-sandbox';
// The scheme of what host and sandbox last agreed on.
export const BASE = 'glue-base';
// The scheme of the person's own version, held still while a conflict is settled.
export const MINE = 'glue-mine';
// The scheme of the merge that a person makes of a conflict.
export const MERGE = 'glue-merge';

// A path of the tree: text to show and, where that is not the real name, its bytes.
export interface TreePath {
  path: string;
  pathBytes?: string;
}

// Names one version of a file. The session is the authority here, so that editors show
// the path alone; the server's own form, glue-sandbox:/<session>/<path>, is understood too.
// The real bytes of odd names are in the query.
export function versionUri(scheme: string, session: string, file: TreePath): vscode.Uri {
  return vscode.Uri.from({
    scheme,
    authority: session,
    path: `/${file.path}`,
    query: file.pathBytes === undefined ? '' : `bytes=${file.pathBytes}`,
  });
}

// Stands for a side on which there is no such file; it reads as an empty one.
export function absentUri(scheme: string, session: string, file: TreePath): vscode.Uri {
  return versionUri(scheme, session, file).with({ query: 'absent' });
}

// Is versionUri's inverse; undefined for what is none.
export function parseVersionUri(
  uri: vscode.Uri,
): { session: string; file: TreePath; absent: boolean } | undefined {
  const all = uri.authority === '' ? uri.path : `/${uri.authority}${uri.path}`;
  const end = all.indexOf('/', 1);
  if (end < 2 || end === all.length - 1) {
    return undefined;
  }
  const file: TreePath = { path: all.slice(end + 1) };
  if (uri.query.startsWith('bytes=')) {
    file.pathBytes = uri.query.slice('bytes='.length);
  }
  return { session: all.slice(1, end), file, absent: uri.query === 'absent' };
}

// The name under which a change's earlier version is found.
export function before(change: FileChange): TreePath {
  if (change.oldPath === undefined) return { path: change.path, pathBytes: change.pathBytes };
  return { path: change.oldPath, pathBytes: change.oldPathBytes };
}

// Names a path in requests, which take the bytes where the text is not the name.
export function pathParam(file: TreePath): string | { pathBytes: string } {
  return file.pathBytes === undefined ? file.path : { pathBytes: file.pathBytes };
}

// The root of the tree on the host: the workspace folder, or the repository above it.
export function hostRoot(session: SessionInfo): vscode.Uri {
  const folder = vscode.Uri.parse(session.workspaceFolder, true);
  const root = session.root.replace(/\/+$/, '');
  if (!session.cwd.startsWith(root + '/')) return folder;
  const inside = session.cwd
    .slice(root.length + 1)
    .split('/')
    .filter((name) => name !== '');
  const up = '/' + inside.join('/');
  const path = folder.path.replace(/\/+$/, '');
  if (inside.length === 0 || !path.endsWith(up)) return folder;
  return folder.with({ path: path.slice(0, -up.length) || '/' });
}

// A path of the tree on the host; undefined where it would not be below the root.
export function hostUri(session: SessionInfo, file: TreePath): vscode.Uri | undefined {
  const names = file.path.split('/');
  if (
    file.pathBytes !== undefined ||
    names.some((name) => name === '' || name === '.' || name === '..')
  ) {
    return undefined;
  }
  return vscode.Uri.joinPath(hostRoot(session), ...names);
}
