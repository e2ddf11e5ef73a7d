// When the server starts by itself: where it has lenses to show, or something that earlier
// windows left to look after. Elsewhere it waits until something is run.
import { readdir, stat } from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';

// What a window has that the server may be of use for.
export interface Opened {
  folders: readonly string[];
  languages: readonly string[]; // of the documents that are open
}

export async function isOfUse(
  opened: Opened,
  runnable: ReadonlySet<string>,
  environment: NodeJS.ProcessEnv,
): Promise<boolean> {
  if (opened.folders.length === 0) {
    return false;
  }
  if (opened.languages.some((id) => runnable.has(id)) || (await hasSessions(environment))) {
    return true;
  }
  const tracked = await Promise.all(opened.folders.map(isInRepository));
  return tracked.includes(true);
}

// hasSessions reports whether anything was ever run from this account: only then can there
// be changes that wait.
async function hasSessions(environment: NodeJS.ProcessEnv): Promise<boolean> {
  const home = environment['GLUE_HOME'] ?? '';
  const sessions = path.join(home === '' ? path.join(os.homedir(), '.glue') : home, 'sessions');
  return (await readdir(sessions).catch(() => [])).length > 0;
}

async function isInRepository(folder: string): Promise<boolean> {
  const parent = path.dirname(folder);
  return (
    (await isThere(path.join(folder, '.git'))) ||
    (parent !== folder && (await isInRepository(parent)))
  );
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

// languagesOf gives the languages that a manifest activates for.
export function languagesOf(manifest: unknown): Set<string> {
  const events = (manifest as { activationEvents?: string[] }).activationEvents ?? [];
  const prefix = 'onLanguage:';
  return new Set(events.filter((e) => e.startsWith(prefix)).map((e) => e.slice(prefix.length)));
}
