import * as fs from 'node:fs';

export interface Process {
  pid: number;
  parent: number;
  executable: string;
  command: string;
}

/**
 * Lists the processes that have to do with a folder: it is in their environment, their
 * command line, their working directory or what is mounted for them. Sandboxed commands
 * show by the last. Zombies hold nothing any more and do not count.
 */
export function processesOf(folder: string): Process[] {
  const found: Process[] = [];
  for (const name of fs.readdirSync('/proc')) {
    const pid = Number(name);
    if (!pid || pid === process.pid) continue;
    const told = ['environ', 'cmdline', 'mountinfo'].map((file) => read(`/proc/${name}/${file}`));
    const cwd = link(`/proc/${name}/cwd`);
    if (![...told, cwd].some((text) => text.includes(folder))) continue;
    const status = read(`/proc/${name}/status`);
    if (/^State:\s+Z/m.test(status)) continue;
    const parent = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    const command = (told[1] ?? '').split('\0').join(' ').trim();
    found.push({ pid, parent, executable: link(`/proc/${name}/exe`), command });
  }
  return found;
}

export function tell(processes: Process[]): string {
  return processes.map((one) => `${one.pid} ${one.executable}: ${one.command}`).join('\n');
}

// A process may end while it is looked at.
function read(file: string): string {
  try {
    return fs.readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function link(file: string): string {
  try {
    return fs.readlinkSync(file);
  } catch {
    return '';
  }
}
