import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as vscode from 'vscode';
import { Gate } from '../driver/gate';
import { until } from '../driver/until';
import {
  closeEditors,
  folder,
  glue,
  onDisk,
  open,
  output,
  say,
  session,
  type,
  uri,
  waitForOutput,
  waiting,
  write,
} from './editor';
import { Questions } from './questions';

describe('running', () => {
  let gate: Gate;
  let questions: Questions;

  before(async () => {
    gate = await Gate.start();
    questions = new Questions();
    await glue();
  });
  beforeEach(() => {
    gate.shut();
    questions.forget();
  });
  afterEach(closeEditors);
  after(async () => {
    questions.dispose();
    await gate.stop();
  });

  it('shows output while the command still runs', async () => {
    void vscode.commands.executeCommand('glue.run', {
      command: waiting(gate.port, say('first'), say('second')),
    });
    await waitForOutput('first');
    await gate.reached();
    assert.ok(!output().includes('second'));
    gate.open();
    await waitForOutput('second');
  });

  it('runs what is typed and not saved', async () => {
    await type('notes.txt', 0, 'typed and not saved\n');
    void vscode.commands.executeCommand('glue.run', { command: 'cat notes.txt; echo done' });
    await waitForOutput('typed and not saved');
    assert.ok(!onDisk('notes.txt').includes('typed'));
  });

  it('cancels a command', async () => {
    void vscode.commands.executeCommand('glue.run', {
      command: waiting(gate.port, say('begun'), say('never')),
    });
    await gate.reached();
    const it = await session('with a command', (one) => one.execs.length > 0);
    await vscode.commands.executeCommand('glue.cancel');
    await session('without commands', (one) => one.id === it.id && one.execs.length === 0);
    assert.ok(!output().includes('never'));
  });

  it('asks before files that are gone here are deleted in the sandbox too, and then runs', async () => {
    const names = Array.from({ length: 80 }, (_, n) => `many/file${n}.txt`);
    for (const name of names) write(name, 'one of many\n');
    await vscode.commands.executeCommand('glue.run', { command: 'ls many | wc -l' });
    await waitForOutput(/^80$/m);
    fs.rmSync(path.join(folder(), 'many'), { recursive: true });

    questions.answer(/Delete them in the sandbox too/, undefined);
    await vscode.commands.executeCommand('glue.run', { command: say('unasked') });
    const question = await questions.told(/Delete them in the sandbox too/);
    assert.ok(question.modal);
    assert.ok(!output().includes('unasked'));
    assert.deepEqual(
      questions.asked.filter((one) => one.kind === 'error'),
      [],
    );

    questions.answer(/Delete them in the sandbox too/, 'Delete in Sandbox');
    await vscode.commands.executeCommand('glue.run', {
      command: 'ls -d many 2>/dev/null || ' + say('deleted'),
    });
    await waitForOutput(/^deleted$/m);
  });

  it('has a lens on each test, and the lens runs that test', async () => {
    const document = (await open('test_prices.py')).document;
    const lenses = await vscode.commands.executeCommand<vscode.CodeLens[]>(
      'vscode.executeCodeLensProvider',
      document.uri,
      50,
    );
    const lens = lenses.find((one) =>
      document.lineAt(one.range.start.line).text.includes('def test_'),
    );
    assert.equal(lens?.command?.title, 'Run in sandbox');
    void vscode.commands.executeCommand(
      lens.command.command,
      ...((lens.command.arguments ?? []) as unknown[]),
    );
    await waitForOutput(/Ran 1 test|1 passed/);
  });

  it('has code actions that run, and none that run on saving', async () => {
    const document = (await open('test_prices.py')).document;
    const range = new vscode.Range(0, 0, 0, 0);
    const all = await vscode.commands.executeCommand<vscode.CodeAction[]>(
      'vscode.executeCodeActionProvider',
      document.uri,
      range,
    );
    const ours = all.filter((one) => one.kind?.value.startsWith('glue.'));
    assert.ok(
      ours.some((one) => one.title.startsWith('Run in sandbox')),
      all.map((one) => one.title).join(),
    );
    const source = await vscode.commands.executeCommand<vscode.CodeAction[]>(
      'vscode.executeCodeActionProvider',
      uri('test_prices.py'),
      range,
      'source',
    );
    assert.deepEqual(
      source.filter((one) => one.command?.command.startsWith('glue.')),
      [],
    );
  });

  it('runs a selection', async () => {
    const editor = await open('prices.py');
    editor.selection = new vscode.Selection(2, 0, 2, editor.document.lineAt(2).text.length);
    const before = output();
    await vscode.commands.executeCommand('glue.runSelection');
    await until(
      'the selection to have run',
      () => output().length > before.length && /■ exit status 0[^■]*$/.test(output()),
    );
  });

  it('takes a flood of output without blocking, and names the log that holds all of it', async () => {
    const lines = 600_000;
    let done = false;
    const ran = Promise.resolve(
      vscode.commands.executeCommand('glue.run', {
        command: `seq -f 'line %.0f of the flood' ${lines}`,
      }),
    ).finally(() => (done = true));
    await waitForOutput('line 100 of the flood');
    const document = await type('notes.txt', 0, 'typed in the flood\n');
    assert.ok(document.getText().startsWith('typed in the flood'));
    await waitForOutput(`line ${lines} of the flood`);
    await waitForOutput(/MiB are left out here; the whole output is in the log/);
    await ran;
    assert.ok(done);
  });

  it('shows hostile output as plain text, and links only to files of the folder', async () => {
    const command = String.raw`printf '\033]52;c;ZXZpbA==\a\033[31mre''d\033[0m prices.py:3:1 ../../etc/passwd:1:1 /etc/passwd:1:1\n'`;
    void vscode.commands.executeCommand('glue.run', { command });
    await waitForOutput(/^red prices\.py:3:1/m);
    assert.ok(!output().includes('\u001b') && !output().includes('\u0007'));
    const shown = vscode.workspace.textDocuments.find(
      (one) => one.uri.scheme === 'output' && one.languageId === 'glue-output',
    );
    assert.ok(shown);
    const links = await vscode.commands.executeCommand<vscode.DocumentLink[]>(
      'vscode.executeLinkProvider',
      shown.uri,
      100,
    );
    const line = shown
      .getText()
      .split('\n')
      .findIndex((one) => one.startsWith('red '));
    const targets = links
      .filter((one) => one.range.start.line === line)
      .map((one) => one.target?.path ?? '');
    assert.ok(
      targets.some((one) => one.endsWith('/prices.py')),
      targets.join(),
    );
    assert.deepEqual(
      targets.filter((one) => one.includes('passwd')),
      [],
    );
  });
});
