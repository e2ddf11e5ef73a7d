// Makes places in files that output names into links to the host's files. A link leads to
// a file that is there and that, all links followed, lies in the workspace folder.
import { realpath, stat } from 'node:fs/promises';
import * as path from 'node:path';
import * as vscode from 'vscode';
import type { SessionInfo } from '../protocol';
import type { Sessions } from '../sessions';
import { sameFolder } from '../sessions';
import type { Channel, Outputs } from './output';
import { outputLanguage } from './output';
import type { Where } from './places';
import { candidates, findPlaces, runOfHeader } from './places';

const mostLinks = 2000;
const mostLines = 50_000;
// Output may name any number of files; looking for them is bounded for each period.
const periodMs = 30_000;
const mostLookups = 5000;
const mostSearches = 40;

export class Links implements vscode.DocumentLinkProvider {
  private readonly cwds = new Map<string, Set<string>>();
  private readonly searches = new WeakMap<Channel, Search>();

  constructor(
    private readonly outputs: Outputs,
    sessions: Sessions,
  ) {
    sessions.onDidChange((info) => {
      if (info !== undefined) {
        this.learn(info);
      }
    });
  }

  static register(outputs: Outputs, sessions: Sessions): vscode.Disposable {
    return vscode.languages.registerDocumentLinkProvider(
      { language: outputLanguage, scheme: 'output' },
      new Links(outputs, sessions),
    );
  }

  async provideDocumentLinks(
    document: vscode.TextDocument,
    token: vscode.CancellationToken,
  ): Promise<vscode.DocumentLink[]> {
    const channel = this.outputs.find(document);
    const folder = channel?.folder.uri.fsPath;
    if (channel === undefined || folder === undefined) {
      return [];
    }
    const search = await this.searchOf(channel);
    const cwds = this.cwdsOf(channel);
    const out: vscode.DocumentLink[] = [];
    let bases: readonly string[] = [''];
    const first = Math.max(0, document.lineCount - mostLines);
    for (let n = first; n < document.lineCount && out.length < mostLinks; n++) {
      if (token.isCancellationRequested) {
        return [];
      }
      const line = document.lineAt(n).text;
      const run = runOfHeader(line);
      if (run !== undefined) {
        bases = ['', ...channel.basesOf(run)];
      }
      for (const place of findPlaces(line)) {
        const wheres = cwds.map((cwd) => ({ folder, cwd, bases }));
        const target = await search.find(place.file, wheres);
        if (target !== undefined) {
          const fragment = `L${place.line},${place.column}`;
          out.push(
            new vscode.DocumentLink(
              new vscode.Range(n, place.start, n, place.end),
              target.with({ fragment }),
            ),
          );
        }
      }
    }
    return out;
  }

  private async searchOf(channel: Channel): Promise<Search> {
    let search = this.searches.get(channel);
    if (search === undefined || Date.now() - search.since > periodMs) {
      search = new Search(channel.folder, await realpath(channel.folder.uri.fsPath));
      this.searches.set(channel, search);
    }
    return search;
  }

  // Output outlives its session, so that places are remembered.
  private learn(info: SessionInfo): void {
    const key = vscode.Uri.parse(info.workspaceFolder).fsPath;
    const known = this.cwds.get(key) ?? new Set();
    this.cwds.set(key, known.add(info.cwd));
  }

  private cwdsOf(channel: Channel): string[] {
    for (const [folder, cwds] of this.cwds) {
      if (sameFolder({ workspaceFolder: vscode.Uri.file(folder).toString() }, channel.folder.uri)) {
        return [...cwds];
      }
    }
    return [channel.folder.uri.fsPath];
  }
}

// Search looks names up, each once, and not too many.
class Search {
  readonly since = Date.now();
  private searched = 0;
  private readonly known = new Map<string, Promise<vscode.Uri | undefined>>();

  constructor(
    private readonly folder: vscode.WorkspaceFolder,
    private readonly real: string,
  ) {}

  async find(name: string, wheres: readonly Where[]): Promise<vscode.Uri | undefined> {
    const relatives = new Set(wheres.flatMap((where) => candidates(name, where)));
    for (const relative of relatives) {
      const found = await this.once(relative, () => this.file(relative));
      if (found !== undefined) {
        return found;
      }
    }
    // Some tools name only the file. It is linked where no other has that name.
    return isFileName(name) ? this.once(`**/${name}`, () => this.only(name)) : undefined;
  }

  private once(
    key: string,
    look: () => Promise<vscode.Uri | undefined>,
  ): Promise<vscode.Uri | undefined> {
    const known = this.known.get(key);
    if (known !== undefined || this.known.size >= mostLookups) {
      return known ?? Promise.resolve(undefined);
    }
    const found = look();
    this.known.set(key, found);
    return found;
  }

  private async file(relative: string): Promise<vscode.Uri | undefined> {
    try {
      const file = await realpath(path.join(this.real, relative));
      const inside = file.startsWith(this.real + path.sep) && (await stat(file)).isFile();
      return inside ? vscode.Uri.joinPath(this.folder.uri, relative) : undefined;
    } catch {
      return undefined; // there is no such file
    }
  }

  private async only(name: string): Promise<vscode.Uri | undefined> {
    this.searched++;
    if (this.searched > mostSearches) {
      return undefined;
    }
    const pattern = new vscode.RelativePattern(this.folder, `**/${name}`);
    const found = await vscode.workspace.findFiles(pattern, '**/node_modules/**', 2);
    const [one] = found;
    return one !== undefined && found.length === 1
      ? this.file(path.relative(this.folder.uri.fsPath, one.fsPath))
      : undefined;
  }
}

// isFileName tells names that are safe in a pattern and look like a source file's.
function isFileName(name: string): boolean {
  return /^[\w-][\w.-]*\.[A-Za-z]\w{0,9}$/u.test(name);
}
