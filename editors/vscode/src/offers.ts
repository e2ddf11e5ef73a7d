// Offers what earlier windows left on the open folders: sandboxes that ended before their
// changes came back, and such as went on running without a window.
import * as vscode from 'vscode';
import { usableFolders } from './folders';
import type { Glue } from './glue';
import * as messages from './messages';
import type { SessionInfo } from './protocol';
import { asking, files } from './run/outcome';
import { isOpen, sameFolder, stateKey } from './sessions';

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

// putOff notes that a person knows of what a session holds now, and will see to it later.
async function putOff(glue: Glue, info: SessionInfo): Promise<void> {
  const others = putOffs(glue).filter((key) => !key.startsWith(`${info.id} `));
  await glue.context.workspaceState.update(putOffKey, [stateKey(info), ...others].slice(0, 100));
}

function putOffs(glue: Glue): string[] {
  return glue.context.workspaceState.get<string[]>(putOffKey, []);
}

// Sessions that a person is ending here.
const ending = new Set<string>();

// endSession ends a session by close. What does not come back is offered afterwards, unless
// the person knows of it.
export async function endSession(
  glue: Glue,
  session: string,
  isKnown: boolean,
  close: () => Promise<unknown>,
): Promise<void> {
  ending.add(session);
  try {
    await close();
    if (isKnown) {
      const info = await glue.request('glue/session/status', { session }).catch(() => undefined);
      if (info !== undefined) {
        await putOff(glue, info); // ending it may have stored more than was listed before
      }
    }
  } finally {
    ending.delete(session);
    const last = glue.sessions.get(session);
    if (last !== undefined) {
      glue.sessions.set(last); // now it may be spoken of
    }
  }
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
    if (!settled || !known || info.checkpoint.changedFiles === 0 || ending.has(info.id)) {
      return;
    }
    const key = stateKey(info);
    if (asking.has(key) || putOffs(this.glue).includes(key)) {
      return;
    }
    asking.add(key);
    this.left.delete(info.id);
    try {
      await this.ask(info);
    } finally {
      asking.delete(key);
    }
  }

  private async ask(info: SessionInfo): Promise<void> {
    const since = new Date(info.createdAt).toLocaleString();
    const what = isOpen(info) ? 'still runs, with' : 'ended with';
    const chosen = await messages.warn(
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
        await putOff(this.glue, info);
        break;
      default: // closed without an answer: the next window asks again
    }
  }
}
