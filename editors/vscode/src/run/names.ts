// The names of output channels, which tell folders apart also where those have one name.
import * as path from 'node:path';
import { plainLine } from './clean';

export interface Named {
  name: string;
  path: string;
}

// channelName is the folder's name, with as much of its path as no other folder shares.
// taken are the names of channels that are there already.
export function channelName(
  folder: Named,
  others: readonly Named[],
  taken: ReadonlySet<string>,
): string {
  const parent = (f: Named): string => path.basename(path.dirname(f.path));
  const names = [
    (f: Named) => titled(f.name),
    (f: Named) => titled(f.name, parent(f)),
    (f: Named) => titled(f.name, f.path),
  ];
  for (const name of names) {
    const own = name(folder);
    if (!taken.has(own) && others.every((o) => o.path === folder.path || name(o) !== own)) {
      return own;
    }
  }
  // Long paths are cut, so that even those may look alike.
  const last = titled(folder.name, folder.path);
  for (let n = 2; ; n++) {
    if (!taken.has(`${last} ${n}`)) {
      return `${last} ${n}`;
    }
  }
}

function titled(name: string, where?: string): string {
  const more = where === undefined ? '' : ` (${plainLine(where, 120)})`;
  return `Glue: ${plainLine(name, 60)}${more}`;
}

// channelOfDocument gives the name of the channel that a document of the output view shows:
// extension-output-<extension>-#<number>-<name>.
export function channelOfDocument(documentPath: string): string | undefined {
  return /^\/?extension-output-[^#]*-#\d+-(.*)$/su.exec(documentPath)?.[1];
}
