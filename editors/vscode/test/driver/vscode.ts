import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as os from 'node:os';
import * as path from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { newContext } from './browser';
import type { Machine } from './machine';
import * as paths from './paths';
import { processesOf } from './processes';
import { at } from './selectors';
import { until } from './until';
import { Window } from './window';

export interface WindowOptions {
  /** The folder to open; null for none. */
  folder?: string | null;
  /** A file of a workspace to open instead. */
  workspace?: string;
  /** A module that exports run(), to be called in the extension host. */
  tests?: string;
}

// Whatever belongs to their machines ends also when the tests themselves are cut short.
const running = new Set<VSCode>();
process.once('SIGTERM', () => process.exit(143));
process.once('exit', () => {
  for (const { machine } of running) endAll(machine);
});

/** VS Code as a server of a machine, in a process group of its own. */
export class VSCode {
  private context: Promise<BrowserContext> | undefined;
  private said = '';

  private constructor(
    readonly machine: Machine,
    private readonly child: ChildProcess,
  ) {
    running.add(this);
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (some: Buffer) => (this.said += some.toString()));
  }

  /** Starts VS Code with the extension installed. */
  static start(machine: Machine): Promise<VSCode> {
    return VSCode.launch(machine, ['--extensions-dir', paths.installed]);
  }

  /**
   * Starts VS Code for an extension under development, which a page may name only in a mode
   * that shows no messages.
   */
  static startForTests(machine: Machine): Promise<VSCode> {
    const extensions = path.join(machine.dir, 'extensions');
    return VSCode.launch(machine, ['--extensions-dir', extensions, '--enable-smoke-test-driver']);
  }

  private static async launch(machine: Machine, args: string[]): Promise<VSCode> {
    const all = [
      ...['--host', '127.0.0.1', '--port', '0', '--without-connection-token'],
      ...['--accept-server-license-terms', '--telemetry-level', 'off'],
      ...['--user-data-dir', machine.userData],
      ...args,
    ];
    const child = spawn(paths.node, [paths.codeServer, ...all], {
      cwd: machine.home,
      env: machine.environment(),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const it = new VSCode(machine, child);
    await until('VS Code to listen', () => {
      if (child.exitCode !== null)
        throw new Error(`VS Code ended with ${child.exitCode}: ${it.said}`);
      return it.address() !== '';
    });
    return it;
  }

  /** Installs a packaged extension into a folder for extensions. */
  static install(machine: Machine, vsix: string, extensions: string): void {
    const args = [
      '--user-data-dir',
      machine.userData,
      '--extensions-dir',
      extensions,
      '--install-extension',
      vsix,
    ];
    execFileSync(paths.node, [paths.codeServer, ...args], {
      env: machine.environment(),
      stdio: 'pipe',
    });
  }

  /** Opens a window, as a tab of the machine's browser, and waits for its workbench. */
  async open(options: WindowOptions = {}): Promise<Window> {
    this.context ??= newContext();
    const page = await (await this.context).newPage();
    return Window.open(page, this.url(options), this.machine.folder);
  }

  /** Opens a window whose extension host calls run() of a module. */
  async openForTests(module: string): Promise<Window & { testsEnded: Promise<number> }> {
    this.context ??= newContext();
    const page = await (await this.context).newPage();
    const testsEnded = new Promise<number>(
      (resolve) => void page.exposeFunction('codeAutomationExit', resolve),
    );
    await page.exposeFunction('codeAutomationLog', () => undefined);
    const window = await Window.open(page, this.url({ tests: module }), this.machine.folder);
    return Object.assign(window, { testsEnded });
  }

  url(options: WindowOptions): string {
    const at = this.address();
    const remote = (file: string): string => `vscode-remote://${at}${file}`;
    const url = new URL(`http://${at}/`);
    if (options.workspace) url.searchParams.set('workspace', options.workspace);
    else if (options.folder === null) url.searchParams.set('ew', 'true');
    else url.searchParams.set('folder', options.folder ?? this.machine.folder);
    if (options.tests) {
      const payload = [
        ['extensionDevelopmentPath', remote(paths.extension)],
        ['extensionTestsPath', remote(options.tests)],
      ];
      url.searchParams.set('payload', JSON.stringify(payload));
    }
    return url.href;
  }

  /** Fails for a reason, with what every window shows now. */
  async explain(why: unknown): Promise<never> {
    const seen: string[] = [];
    for (const page of (await this.context)?.pages() ?? []) {
      const file = path.join(os.tmpdir(), `glue-vscode-failed-${Date.now()}.png`);
      await page.screenshot({ path: file }).catch(() => undefined);
      const messages = await page
        .locator(at.message)
        .allInnerTexts()
        .catch(() => []);
      seen.push(`${file} shows it; messages: ${messages.join(' | ') || 'none'}`);
    }
    const error = why instanceof Error ? why : new Error(String(why));
    error.message = [error.message, ...seen].join('\n');
    throw error;
  }

  /** Ends VS Code, and with it whatever a test that failed left running. */
  async stop(): Promise<void> {
    await (await this.context)?.close();
    if (this.child.exitCode === null && this.child.pid) {
      const ended = once(this.child, 'exit');
      process.kill(this.child.pid, 'SIGTERM');
      await ended;
    }
    // A host of extensions waits for its window for a while; nobody comes any more.
    await until('all processes to end', () => endAll(this.machine) === 0);
    running.delete(this);
  }

  private address(): string {
    return /bound to ([\d.]+:\d+)/.exec(this.said)?.[1] ?? '';
  }
}

/** Ends what belongs to a machine, and tells how many processes that were. */
function endAll(machine: Machine): number {
  const left = processesOf(machine.dir);
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  return left.length;
}
