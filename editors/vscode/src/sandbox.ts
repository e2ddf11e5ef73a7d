// Which sandbox a folder's commands and terminals use.
import * as vscode from 'vscode';
import type { Glue, OnProgress } from './glue';
import { warn } from './messages';
import type { OpenParams, SessionInfo } from './protocol';
import { explain, failureOf } from './protocol';

export interface Folder {
  name: string;
  uri: vscode.Uri;
}

// sandboxOf gives the folder's newest open session, or opens one: of its own, when the
// person wants that while another window has one.
export async function sandboxOf(
  glue: Glue,
  folder: Folder,
  report: OnProgress,
  token: vscode.CancellationToken,
): Promise<SessionInfo> {
  const open = glue.sessions.ofFolder(folder.uri);
  if (open?.state === 'ready') {
    return open;
  }
  const params: OpenParams = { workspaceFolder: folder.uri.toString() };
  const request = async (given: OpenParams): Promise<SessionInfo> => {
    const info = await glue.request('glue/session/open', given, token, report);
    glue.sessions.set(info);
    return info;
  };
  try {
    return await request(params);
  } catch (error) {
    if (failureOf(error)?.kind !== 'sessionBusy') {
      throw error;
    }
    glue.log.info(explain(error));
    if (!(await wantsOwn(folder, token))) {
      throw new BusyElsewhere(busyText(folder));
    }
  }
  return request({ ...params, new: true });
}

// BusyElsewhere is that another window has the folder's sandbox, which the person knows.
export class BusyElsewhere extends vscode.CancellationError {
  constructor(override readonly message: string) {
    super();
  }
}

const busyText = (folder: Folder): string => `Another window has a sandbox open on ${folder.name}.`;

// wantsOwn is answered with no when the work is cancelled before the question is answered.
async function wantsOwn(folder: Folder, token: vscode.CancellationToken): Promise<boolean> {
  const separate = 'Open Separate Sandbox';
  const cancelled = new Promise<undefined>((resolve) => {
    token.onCancellationRequested(() => {
      resolve(undefined);
    });
  });
  const chosen = await Promise.race([warn(busyText(folder), separate), cancelled]);
  return chosen === separate && !token.isCancellationRequested;
}
