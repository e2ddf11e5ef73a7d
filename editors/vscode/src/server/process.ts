// The server's process: started in a process group of its own, so that nothing that ends
// this window's host by its group ends it before it has stored what sandboxes changed.
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { homedir } from 'node:os';
import { createInterface } from 'node:readline';
import type { LogOutputChannel } from 'vscode';

const longestLine = 8192;

export class ServerProcess {
  private constructor(
    readonly child: ChildProcessWithoutNullStreams,
    // Resolves to how the process ended, in words.
    readonly ended: Promise<string>,
  ) {}

  static async start(file: string, log: LogOutputChannel): Promise<ServerProcess> {
    const child = spawn(file, ['serve', '--stdio'], {
      cwd: homedir(),
      detached: true,
      stdio: 'pipe',
    });
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => {
        resolve(signal ?? `exit status ${code}`);
      });
    });
    child.on('error', (error) => {
      log.error(`${file}: ${error.message}`);
    });
    // A write to a server that is gone shows as the end of the connection.
    child.stdin.on('error', () => undefined);
    createInterface({ input: child.stderr }).on('line', (line) => {
      logLine(log, line);
    });
    await once(child, 'spawn');
    return new ServerProcess(child, ended);
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  // letGo ends the server's input, upon which it stores what sandboxes changed and ends.
  letGo(): void {
    this.child.stdin.end();
    this.child.unref();
  }

  // end waits for that, and ends a server by force that does not do it.
  async end(withinMs: number): Promise<void> {
    this.letGo();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        resolve(true);
      }, withinMs);
    });
    if (await Promise.race([this.ended.then(() => false), late])) {
      this.child.kill('SIGKILL');
      await this.ended;
    }
    clearTimeout(timer);
  }
}

// The server's log lines are time, level, caller and message, with tabs between them.
function logLine(log: LogOutputChannel, line: string): void {
  const text = line.slice(0, longestLine);
  const [, level, ...rest] = text.split('\t');
  const message = rest.join(' ');
  switch (level?.toUpperCase()) {
    case 'DEBUG':
      log.debug(message);
      break;
    case 'INFO':
      log.info(message);
      break;
    case 'WARN':
      log.warn(message);
      break;
    case 'ERROR':
      log.error(message);
      break;
    default:
      log.info(text);
  }
}
