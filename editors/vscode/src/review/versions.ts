// Either side of a change as a read-only file: glue-sandbox: and glue-base:.
import * as vscode from 'vscode';
import type { Glue } from '../glue';
import { bytesOf, explain, failureOf } from '../protocol';
import { BASE, parseVersionUri, SANDBOX } from './uris';

interface Version {
  bytes: Uint8Array;
  generation: number;
}

// The bytes of one session that are kept while nothing changes.
const keptBytes = 32 * 1024 * 1024;

// Versions serves bytes, not text, so that VS Code shows each file as it shows any other:
// images as images, large files with its own limits, encodings as they are set.
export class Versions implements vscode.FileSystemProvider {
  private readonly changed = new vscode.EventEmitter<vscode.FileChangeEvent[]>();
  private readonly sessions = new Map<string, Kept>();

  readonly onDidChangeFile = this.changed.event;

  constructor(private readonly glue: Glue) {}

  register(): vscode.Disposable {
    const options = { isCaseSensitive: true, isReadonly: true };
    return vscode.Disposable.from(
      vscode.workspace.registerFileSystemProvider(SANDBOX, this, options),
      vscode.workspace.registerFileSystemProvider(BASE, this, options),
      this.glue.sessions.onDidChange((info) => {
        if (info !== undefined) {
          this.renew(info.id, `${info.checkpoint.commit} ${String(info.checkpoint.changedFiles)}`);
        }
      }),
      this.changed,
    );
  }

  // read gives a version's bytes; those of a file that is not there are none.
  async read(uri: vscode.Uri): Promise<Uint8Array> {
    return (await this.version(uri)).bytes;
  }

  // renew makes open documents of a session read again.
  renew(session: string, state?: string): void {
    const kept = this.kept(session);
    if (state !== undefined && kept.state === state) {
      return;
    }
    kept.state = state ?? '';
    kept.generation++;
    kept.bytes = 0;
    kept.versions.clear();
    const open = vscode.workspace.textDocuments
      .map((d) => d.uri)
      .filter((u) => isVersion(u) && parseVersionUri(u)?.session === session);
    if (open.length > 0) {
      this.changed.fire(open.map((uri) => ({ type: vscode.FileChangeType.Changed, uri })));
    }
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const { bytes, generation } = await this.version(uri);
    return {
      type: vscode.FileType.File,
      ctime: 0,
      mtime: generation,
      size: bytes.length,
      permissions: vscode.FilePermission.Readonly,
    };
  }

  async readFile(uri: vscode.Uri): Promise<Uint8Array> {
    return (await this.version(uri)).bytes;
  }

  watch(): vscode.Disposable {
    return new vscode.Disposable(() => undefined); // sessions tell when they change
  }

  readDirectory(): [string, vscode.FileType][] {
    return [];
  }

  createDirectory(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  writeFile(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  delete(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  rename(uri: vscode.Uri): never {
    throw vscode.FileSystemError.NoPermissions(uri);
  }

  private kept(session: string): Kept {
    let kept = this.sessions.get(session);
    if (kept === undefined) {
      kept = { state: '', generation: 1, bytes: 0, versions: new Map() };
      this.sessions.set(session, kept);
    }
    return kept;
  }

  private version(uri: vscode.Uri): Promise<Version> {
    const named = parseVersionUri(uri);
    if (named === undefined) {
      throw vscode.FileSystemError.FileNotFound(uri);
    }
    const kept = this.kept(named.session);
    if (named.absent) {
      return Promise.resolve({ bytes: new Uint8Array(), generation: kept.generation });
    }
    const key = uri.toString();
    const known = kept.versions.get(key);
    if (known !== undefined) {
      return known;
    }
    const version = this.fetch(uri, kept.generation);
    kept.versions.set(key, version);
    version.then(
      ({ bytes, generation }) => {
        if (generation !== kept.generation) {
          return;
        }
        kept.bytes += bytes.length;
        if (kept.bytes > keptBytes) {
          kept.bytes = 0;
          kept.versions.clear();
        }
      },
      () => kept.versions.delete(key),
    );
    return version;
  }

  private async fetch(uri: vscode.Uri, generation: number): Promise<Version> {
    const named = parseVersionUri(uri);
    if (named === undefined) {
      throw vscode.FileSystemError.FileNotFound(uri);
    }
    try {
      const { session, file } = named;
      const side = uri.scheme === BASE ? 'base' : 'sandbox';
      const payload = await this.glue.request('glue/session/version', { session, side, ...file });
      return { bytes: bytesOf(payload), generation };
    } catch (error) {
      switch (failureOf(error)?.kind) {
        case 'fileNotFound':
        case 'noSuchSession':
          throw vscode.FileSystemError.FileNotFound(explain(error));
        default:
          throw vscode.FileSystemError.Unavailable(explain(error));
      }
    }
  }
}

interface Kept {
  state: string;
  generation: number;
  bytes: number;
  versions: Map<string, Promise<Version>>;
}

export function isVersion(uri: vscode.Uri): boolean {
  return uri.scheme === SANDBOX || uri.scheme === BASE;
}
