import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import * as paths from './paths';
import { until } from './until';

interface Ready {
  url: string;
  admin: string;
  tokenId: string;
  tokenSecret: string;
}

interface Stats {
  alive: number;
  sandboxes: { id: string; status: string; alive: boolean }[];
}

/** Modal's emulator on loopback. It ends with its standard input. */
export class Modal {
  private constructor(
    private readonly child: ChildProcess,
    private readonly ready: Ready,
  ) {}

  static async start(): Promise<Modal> {
    const child = spawn(paths.modalemu, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    const ready = await new Promise<Ready>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`the emulator of Modal ended with ${code}`)));
      createInterface({ input: child.stdout }).once('line', (line) =>
        resolve(JSON.parse(line) as Ready),
      );
    });
    return new Modal(child, ready);
  }

  /** What leads Modal's SDK to the emulator, and to no configuration of the person's. */
  environment(): NodeJS.ProcessEnv {
    return {
      GLUE_RUNTIME: 'modal',
      MODAL_PYTHON: paths.python,
      MODAL_SERVER_URL: this.ready.url,
      MODAL_TOKEN_ID: this.ready.tokenId,
      MODAL_TOKEN_SECRET: this.ready.tokenSecret,
      MODAL_DISABLE_API_PROXY: '1',
      MODAL_CONFIG_PATH: '/dev/null',
    };
  }

  async stats(): Promise<Stats> {
    return (await (await fetch(`${this.ready.admin}/stats`)).json()) as Stats;
  }

  /** Waits until no sandbox costs anything any more. */
  async nothingAlive(): Promise<void> {
    await until('no sandbox to be alive in Modal', async () => (await this.stats()).alive === 0);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin?.end();
    await ended;
  }
}
