// The merges that were begun and are in no file yet, on the disk: what a person made of them
// outlives the window. What is typed and not saved is kept by VS Code, as for any document.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import type { FileChange, SessionInfo } from '../protocol';
import type { Part } from './markers';

export interface KeptMerge {
  session: SessionInfo;
  change: FileChange;
  mine: string;
  theirs: string;
  parts: Part[];
  mark: string;
  // The merge itself: whether a person saved it, and when.
  text: string;
  written: boolean;
  changedAt: number;
}

// One that nobody saved is of no use for longer.
const unwrittenForMs = 30 * 24 * 60 * 60 * 1000;

const version = 1;

export class KeptMerges {
  // Without a folder there is nothing to keep: no sandbox has one either.
  constructor(private readonly dir: string | undefined) {}

  // all gives what earlier windows left, and drops what is too old.
  all(now: number): KeptMerge[] {
    const out: KeptMerge[] = [];
    for (const file of this.files()) {
      const kept = read(file);
      if (kept === undefined || (!kept.written && now - kept.changedAt > unwrittenForMs)) {
        rmSync(file, { force: true });
      } else {
        out.push(kept);
      }
    }
    return out;
  }

  // put is on the disk when it returns.
  put(name: string, kept: KeptMerge): void {
    if (this.dir === undefined) {
      return;
    }
    mkdirSync(this.dir, { recursive: true, mode: 0o700 });
    const file = fileOf(this.dir, name);
    const draft = `${file}.new`;
    writeFileSync(draft, JSON.stringify({ version, kept }), { mode: 0o600 });
    renameSync(draft, file);
  }

  drop(name: string): void {
    if (this.dir !== undefined) {
      rmSync(fileOf(this.dir, name), { force: true });
    }
  }

  private files(): string[] {
    const { dir } = this;
    if (dir === undefined) {
      return [];
    }
    try {
      const names = readdirSync(dir).filter((name) => name.endsWith('.json'));
      return names.map((name) => path.join(dir, name));
    } catch {
      return []; // nothing was kept yet
    }
  }
}

function fileOf(dir: string, name: string): string {
  return path.join(dir, `${createHash('sha256').update(name).digest('hex')}.json`);
}

// read gives nothing for what another version of the extension wrote.
function read(file: string): KeptMerge | undefined {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as { version: number; kept: KeptMerge };
    return found.version === version ? found.kept : undefined;
  } catch {
    return undefined;
  }
}
