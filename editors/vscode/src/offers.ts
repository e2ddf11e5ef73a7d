// Offers what earlier windows left on the open folders: sandboxes that ended before their
// changes came back, and such as went on running without a window.
import * as vscode from 'vscode';
import { usableFolders } from './folders';
import type { Glue } from './glue';
import type { SessionInfo } from './protocol';
import { asking, files } from './run/outcome';
import { isOpen, sameFolder } from './sessions';

const putOffKey = 'glue.putOff';

export function registerOffers(glue: Glue): void {
  const offers = new Offers(glue);
  glue.context.subscriptions.push(
    glue.sessions.onDidChange((info) => {
      if (info !== undefined) {
        void offers.consider(info);
      }
    }),
    glue.onDidChangeState((state) => {
      if (state === 'running') {
        void offers.look();
      }
    }),
  );
}

// putOff notes that a person knows of a session's changes and will see to them later.
export async function putOff(glue: Glue, sessionId: string): Promise<void> {
  const known = putOffs(glue);
  await glue.context.workspaceState.update(putOffKey, [sessionId, ...known].slice(0, 100));
}

function putOffs(glue: Glue): string[] {
  return glue.context.workspaceState.get<string[]>(putOffKey, []);
}

class Offers {
  // Open sessions that an earlier server left, and when this one started.
  private readonly left = new Set<string>();
  private readonly seen = new Set<string>();
  private since = Date.now();

  constructor(private readonly glue: Glue) {}

  // look asks the server what there is. Sessions of a server that died come later, when it
  // has looked after them, as changes.
  async look(): Promise<void> {
    this.since = Date.now();
    this.left.clear();
    this.seen.clear();
    try {
      const { sessions } = await this.glue.request('glue/session/list', {});
      for (const info of sessions) {
        this.glue.sessions.set(info);
      }
    } catch (error) {
      this.glue.log.warn(`Sessions could not be listed: ${String(error)}`);
    }
  }

  async consider(info: SessionInfo): Promise<void> {
    if (!this.seen.has(info.id) && Date.parse(info.createdAt) < this.since) {
      this.left.add(info.id);
    }
    this.seen.add(info.id);
    // What still runs is not asked about before it has ended.
    const settled = !isOpen(info) || (this.left.has(info.id) && info.execs.length === 0);
    const known = usableFolders().some((folder) => sameFolder(info, folder.uri));
    if (!settled || !known || info.checkpoint.changedFiles === 0 || asking.has(info.id)) {
      return;
    }
    if (putOffs(this.glue).includes(info.id)) {
      return;
    }
    asking.add(info.id);
    this.left.delete(info.id);
    try {
      await this.ask(info);
    } finally {
      asking.delete(info.id);
    }
  }

  private async ask(info: SessionInfo): Promise<void> {
    const since = new Date(info.createdAt).toLocaleString();
    const what = isOpen(info) ? 'still runs, with' : 'ended with';
    const chosen = await vscode.window.showWarningMessage(
      `The sandbox of ${since} ${what} ${files(info.checkpoint.changedFiles)} that did not come back.`,
      'Review',
      'Return',
      'Later',
    );
    switch (chosen) {
      case 'Review':
        await vscode.commands.executeCommand('glue.review', { session: info.id });
        break;
      case 'Return':
        await vscode.commands.executeCommand('glue.session.return', { session: info.id });
        break;
      case 'Later':
        await putOff(this.glue, info.id);
        break;
      default: // closed without an answer: the next window asks again
    }
  }
}
