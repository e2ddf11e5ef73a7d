import * as assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { until } from '../driver/until';
import { glue, session } from './editor';
import { Questions } from './questions';

/** The pseudoterminal of the newest sandbox terminal, with what it wrote. */
interface Screen {
  terminal: vscode.Terminal;
  pty: vscode.Pseudoterminal;
  text: () => string;
}

describe('the sandbox terminal', () => {
  let questions: Questions;
  const screens: Screen[] = [];

  before(async () => {
    questions = new Questions();
    await glue();
  });
  afterEach(async () => {
    for (const { terminal } of screens.splice(0)) terminal.dispose();
    await session('without a shell', (one) =>
      one.execs.every((exec) => !exec.execId.startsWith('terminal-')),
    );
  });
  after(() => questions.dispose());

  async function openTerminal(): Promise<Screen> {
    const before = new Set(vscode.window.terminals);
    await vscode.commands.executeCommand('glue.terminal');
    const terminal = await until('the terminal', () =>
      vscode.window.terminals.find((one) => !before.has(one)),
    );
    const options = terminal.creationOptions;
    assert.ok('pty' in options);
    let written = '';
    options.pty.onDidWrite((some) => (written += some));
    const screen = { terminal, pty: options.pty, text: () => written };
    screens.push(screen);
    return screen;
  }

  async function waitFor(screen: Screen, text: string): Promise<void> {
    await until(`${text} in the terminal`, () => screen.text().includes(text)).catch(
      (why: Error) => {
        throw new Error(`${why.message}; there was:\n${screen.text()}`);
      },
    );
  }

  it('is a terminal of the sandbox, and takes what was typed before it stood', async () => {
    const screen = await openTerminal();
    screen.terminal.sendText('test -t 0 && echo "tty in $PWD: $((6 * 7))"');
    await waitFor(screen, ': 42');
    assert.match(screen.text(), /tty in \S+: 42/);
  });

  it('tells the shell its size', async () => {
    const screen = await openTerminal();
    screen.terminal.sendText('echo ready-$((1 + 1))');
    await waitFor(screen, 'ready-2');
    screen.pty.setDimensions?.({ rows: 17, columns: 61 });
    screen.terminal.sendText(
      'until test "$(stty size)" = "17 61"; do :; done; echo size-is-$(stty size)',
    );
    await waitFor(screen, 'size-is-17 61');
  });

  it('answers Ctrl-C in a flood, and lets no sequence reach the clipboard', async () => {
    const screen = await openTerminal();
    await vscode.env.clipboard.writeText('mine');
    screen.terminal.sendText("printf '\\033]52;c;aGVsbG8=\\007'; yes flood");
    await waitFor(screen, 'flood\r\nflood');
    screen.terminal.sendText('\u0003', false);
    screen.terminal.sendText('echo after-$((1 + 1))');
    await waitFor(screen, 'after-2');
    assert.ok(!screen.text().includes('\u001b]52'));
    assert.equal(await vscode.env.clipboard.readText(), 'mine');
  });

  it('says how the shell ended', async () => {
    const screen = await openTerminal();
    screen.terminal.sendText('exit 3');
    await waitFor(screen, 'The shell ended with status 3.');
  });

  it('ends the shell with all that it started when it is closed', async () => {
    const screen = await openTerminal();
    screen.terminal.sendText('sleep 1000 & echo begun-$((1 + 1))');
    await waitFor(screen, 'begun-2');
    screen.terminal.dispose();
    await session('without commands', (one) => one.execs.length === 0);
  });

  it('ends a shell by force that does not mind its terminal being closed', async () => {
    const screen = await openTerminal();
    screen.terminal.sendText("trap '' HUP; echo begun-$((1 + 1))");
    await waitFor(screen, 'begun-2');
    screen.terminal.dispose();
    await session('without commands', (one) => one.execs.length === 0);
  });
});
