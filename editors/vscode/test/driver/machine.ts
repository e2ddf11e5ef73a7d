import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type { Modal } from './modal';
import * as paths from './paths';
import { processesOf, tell, type Process } from './processes';
import { until } from './until';

export interface MachineOptions {
  /** Files of the repository as last committed; without any there is no repository. */
  committed?: Record<string, string>;
  /** Files that lie in the folder and are not committed. */
  loose?: Record<string, string>;
  /** Files of a second folder that is no repository, for windows that open both. */
  second?: Record<string, string>;
  /** Files of the person's home. */
  home?: Record<string, string>;
  /** Settings of the person, and those of them that name programs. */
  settings?: Record<string, unknown>;
  programs?: Record<string, unknown>;
  /** Variables of the environment that VS Code starts in. */
  environment?: NodeJS.ProcessEnv;
  /** Where sandboxes run; without it, on this machine. */
  modal?: Modal;
}

/** What a person has: a home, a folder that they work on, and settings of VS Code. */
export class Machine {
  readonly dir = fs.mkdtempSync(path.join(os.tmpdir(), 'glue-vscode-'));
  readonly home = this.make('home');
  readonly glueHome = this.make('glue');
  readonly userData = this.make('user-data');
  readonly folder = this.make('shop');
  readonly second = path.join(this.dir, 'stall');
  /** Names both folders. */
  readonly workspace = path.join(this.dir, 'market.code-workspace');
  readonly modal: Modal | undefined;
  private variables: NodeJS.ProcessEnv;

  constructor(options: MachineOptions = {}) {
    this.modal = options.modal;
    this.variables = options.environment ?? {};
    this.write(
      path.join(this.userData, 'User', 'settings.json'),
      JSON.stringify({ ...quiet, ...options.settings }),
    );
    // Where VS Code is a server, what names programs is taken from the server's machine only.
    this.write(
      path.join(this.userData, 'Machine', 'settings.json'),
      JSON.stringify(options.programs ?? {}),
    );
    for (const [name, text] of Object.entries(options.home ?? {}))
      this.write(path.join(this.home, name), text);
    if (options.committed) {
      this.git('init', '--quiet', '--initial-branch=main');
      this.put(options.committed);
      this.git('add', '--all');
      this.git('commit', '--quiet', '--message=The shop');
    }
    this.put(options.loose ?? {});
    for (const [name, text] of Object.entries(options.second ?? {}))
      this.write(path.join(this.second, name), text);
    if (options.second) {
      const folders = [this.folder, this.second].map((dir) => ({ path: path.basename(dir) }));
      this.write(this.workspace, JSON.stringify({ folders }));
    }
  }

  /** The environment that VS Code starts in: nothing of the person's who runs the tests. */
  environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env.PATH,
      LANG: 'C.UTF-8',
      HOME: this.home,
      TMPDIR: this.make('tmp'),
      GLUE_HOME: this.glueHome,
      GIT_CONFIG_NOSYSTEM: '1',
      EXTENSIONS_GALLERY: '{"serviceUrl":"","itemUrl":""}',
      ...this.modal?.environment(),
      ...this.variables,
    };
  }

  setEnvironment(more: NodeJS.ProcessEnv): void {
    this.variables = { ...this.variables, ...more };
  }

  path(name: string): string {
    return path.join(this.folder, name);
  }

  read(name: string): string {
    return fs.readFileSync(this.path(name), 'utf8');
  }

  exists(name: string): boolean {
    return fs.existsSync(this.path(name));
  }

  put(files: Record<string, string>): void {
    for (const [name, text] of Object.entries(files)) this.write(this.path(name), text);
  }

  git(...args: string[]): string {
    const who = [
      '-c',
      'user.name=Ann',
      '-c',
      'user.email=ann@example.com',
      '-c',
      'commit.gpgSign=false',
    ];
    const env = { PATH: process.env.PATH, HOME: this.home, GIT_CONFIG_NOSYSTEM: '1' };
    return execFileSync('git', [...who, ...args], { cwd: this.folder, env, encoding: 'utf8' });
  }

  /** Waits until nothing of the product runs any more, here or in the cloud. */
  async nothingLeft(): Promise<void> {
    let left = this.products();
    await until(
      'the server and its sandboxes to end',
      () => (left = this.products()).length === 0,
    ).catch((why: Error) => {
      throw new Error(`${why.message}; left are\n${tell(left)}`);
    });
    await this.modal?.nothingAlive();
  }

  /** Processes of the product: all of this machine but VS Code's and what that starts for itself. */
  products(): Process[] {
    const all = processesOf(this.dir);
    const parents = new Map(all.map((one) => [one.pid, one]));
    const isOther = (one: Process | undefined): boolean =>
      one !== undefined && (isVSCode(one) || (!isServer(one) && isOther(parents.get(one.parent))));
    return all.filter((one) => !isOther(one));
  }

  remove(): void {
    // Go's module cache and the like are read-only.
    execFileSync('chmod', ['-R', 'u+rwX', this.dir]);
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  private make(name: string): string {
    const dir = path.join(this.dir, name);
    fs.mkdirSync(dir, { recursive: true });
    return dir;
  }

  private write(file: string, text: string): void {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    if (text.startsWith('#!')) fs.chmodSync(file, 0o755);
  }
}

function isVSCode(one: Process): boolean {
  return one.executable.startsWith(`${fs.realpathSync(paths.host)}${path.sep}`);
}

/** Whether it is what the extension starts, whatever a test has put there. */
function isServer(one: Process): boolean {
  return one.command.split(' ').some((word) => path.basename(word) === 'glue-lsp');
}

/** Settings that keep VS Code to what a test is about. In browsers it saves by itself. */
const quiet = {
  'chat.disableAIFeatures': true,
  'editor.minimap.enabled': false,
  'extensions.ignoreRecommendations': true,
  'files.autoSave': 'off',
  'git.autofetch': false,
  'git.openRepositoryInParentFolders': 'never',
  'remote.autoForwardPorts': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'terminal.integrated.gpuAcceleration': 'off',
  'workbench.colorTheme': 'Default Light Modern',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};
