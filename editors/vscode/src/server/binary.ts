// Which program is the server: the one that the person named, else the one that came
// with the extension, else the first on PATH.
import * as path from 'node:path';

export type Origin = 'setting' | 'bundled' | 'path';

export interface Found {
  file: string;
  from: Origin;
}

export class NotFound extends Error {
  constructor(
    message: string,
    // Whether the setting is what has to be corrected.
    readonly bySetting: boolean,
  ) {
    super(message);
  }
}

export interface Surroundings {
  setting: string;
  bundled: string;
  path: string;
  home: string;
  isExecutable: (file: string) => boolean;
}

export const programName = 'glue-lsp';

// A setting is obeyed or reported, never passed over: falling back would run another
// program than the one that was asked for. Relative paths and relative entries of PATH
// are not used, because what they mean could be decided by the folder that is open.
export function findServer(s: Surroundings): Found {
  const setting = s.setting.trim();
  if (setting !== '') {
    const file = setting.startsWith('~/') ? path.join(s.home, setting.slice(2)) : setting;
    if (!path.isAbsolute(file)) {
      throw new NotFound(
        `The setting glue.serverPath is "${setting}". It must be an absolute path, or begin with ~/.`,
        true,
      );
    }
    if (!s.isExecutable(file)) {
      throw new NotFound(
        `The setting glue.serverPath names ${file}, where there is no program that can be run.`,
        true,
      );
    }
    return { file, from: 'setting' };
  }
  if (s.isExecutable(s.bundled)) {
    return { file: s.bundled, from: 'bundled' };
  }
  for (const dir of s.path.split(path.delimiter)) {
    const file = path.join(dir, programName);
    if (path.isAbsolute(dir) && s.isExecutable(file)) {
      return { file, from: 'path' };
    }
  }
  throw new NotFound(
    `The server ${programName} was not found: it is neither in this extension nor on PATH. ` +
      'Install it, or name it by the setting glue.serverPath.',
    false,
  );
}
