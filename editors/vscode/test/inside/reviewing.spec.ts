import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as vscode from 'vscode';
import { until } from '../driver/until';
import {
  closeEditors,
  folder,
  glue,
  isThere,
  onDisk,
  open,
  session,
  type,
  uri,
  write,
} from './editor';
import { Questions } from './questions';

interface FileChange {
  path: string;
}

/** Runs a command in the folder's sandbox and waits until what it changed is stored here. */
async function inSandbox(command: string): Promise<string> {
  const it = await glue();
  const { id } = (await it.request('glue/session/open', {
    workspaceFolder: vscode.Uri.file(folder()).toString(),
  })) as { id: string };
  const result = (await it.request('glue/exec', { session: id, command })) as {
    exitCode: number;
    checkpoint: number;
    stderr: { data: string };
  };
  assert.equal(result.exitCode, 0, result.stderr.data);
  await session(
    'with the checkpoint',
    (one) => one.id === id && one.checkpoint.seq >= result.checkpoint && one.execs.length === 0,
  );
  return id;
}

async function changedIn(id: string): Promise<string[]> {
  const { files } = (await (await glue()).request('glue/session/diff', { session: id })) as {
    files: FileChange[];
  };
  return files.map((file) => file.path);
}

function tabLabels(): string[] {
  return vscode.window.tabGroups.all.flatMap((group) => group.tabs.map((tab) => tab.label));
}

describe('reviewing and returning', () => {
  let questions: Questions;

  before(async () => {
    questions = new Questions();
    await glue();
  });
  beforeEach(() => questions.forget());
  afterEach(async () => {
    await closeEditors();
    const it = await glue();
    for (const { id } of it.sessions.all())
      await it.request('glue/session/discard', { session: id });
  });
  after(() => questions.dispose());

  it('brings a change into unsaved text and leaves that unsaved', async () => {
    write('cart.txt', 'apples\nplums\npears\n');
    const document = await type('cart.txt', 0, 'mine, not saved\n');
    await inSandbox("sed -i 's/pears/PEARS/' cart.txt; echo new > fresh.txt");
    await vscode.commands.executeCommand('glue.session.return');
    assert.equal(document.getText(), 'mine, not saved\napples\nplums\nPEARS\n');
    assert.ok(document.isDirty, 'the unsaved text is still unsaved');
    assert.equal(onDisk('cart.txt'), 'apples\nplums\npears\n');
    assert.equal(onDisk('fresh.txt'), 'new\n');
    const { text, buttons } = await questions.told(/Returned 2 files/);
    assert.match(text, /Not saved, because it held unsaved text of yours: cart\.txt/);
    assert.deepEqual(buttons.slice(0, 1), ['Undo']);
  });

  it('writes a file that was saved exactly as the sandbox has it, and again', async () => {
    const editor = vscode.workspace.getConfiguration('files');
    await editor.update('trimTrailingWhitespace', true, vscode.ConfigurationTarget.Global);
    await editor.update('insertFinalNewline', true, vscode.ConfigurationTarget.Global);
    write('exact.txt', 'one\n');
    const { document } = await open('exact.txt');
    for (const text of ['one  \ntwo \t', 'one  \r\nthree']) {
      await inSandbox(
        `printf '${text.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}' > exact.txt`,
      );
      questions.forget();
      await vscode.commands.executeCommand('glue.session.return');
      await questions.told(/Returned 1 file/);
      assert.equal(onDisk('exact.txt'), text);
      await until('the tab to show it', () => document.getText() === text);
      assert.ok(!document.isDirty);
    }
    await editor.update('trimTrailingWhitespace', undefined, vscode.ConfigurationTarget.Global);
    await editor.update('insertFinalNewline', undefined, vscode.ConfigurationTarget.Global);
  });

  it('takes a return back', async () => {
    write('undo.txt', 'before\n');
    write('gone.txt', 'still needed\n');
    await inSandbox('echo after > undo.txt; rm gone.txt; echo new > extra.txt');
    questions.answer(/Besides text, the sandbox changed gone\.txt \(deleted\)/, 'Return');
    questions.answer(/Returned 3 files/, 'Undo');
    await vscode.commands.executeCommand('glue.session.return');
    await questions.told(/Took 3 files back/);
    assert.equal(onDisk('undo.txt'), 'before\n');
    assert.equal(onDisk('gone.txt'), 'still needed\n');
    assert.ok(!isThere('extra.txt'));
  });

  it('asks by name about a file that acts by itself, and leaves it', async () => {
    await inSandbox("mkdir -p .vscode; echo '{}' > .vscode/tasks.json; echo harmless > other.txt");
    questions.answer(/tasks\.json can run programs/, 'Return the Others');
    await vscode.commands.executeCommand('glue.session.return');
    const { text } = await questions.told(/Returned 1 file/);
    assert.match(text, /Left out: \.vscode\/tasks\.json/);
    assert.ok(isThere('other.txt'));
    assert.ok(!isThere('.vscode/tasks.json'));
    questions.answer(/tasks\.json can run programs/, 'Return It');
    await vscode.commands.executeCommand('glue.session.return');
    assert.equal(onDisk('.vscode/tasks.json'), '{}\n');
    fs.rmSync(uri('.vscode').fsPath, { recursive: true });
  });

  it('never deletes a file that holds unsaved text', async () => {
    write('precious.txt', 'text\n');
    const document = await type('precious.txt', 0, 'mine, not saved\n');
    await inSandbox('rm precious.txt');
    questions.answer(/more than text: precious\.txt \(deleted\)/, 'Return');
    await vscode.commands.executeCommand('glue.session.return');
    await questions.told(/(Changed on both sides|Not returned): precious\.txt/);
    assert.ok(document.isDirty && document.getText().startsWith('mine'));
    assert.equal(onDisk('precious.txt'), 'text\n');
  });

  it('shows either side of a change, of any bytes', async () => {
    write('sides.txt', 'before\n');
    await inSandbox("echo after > sides.txt; printf '\\0\\1\\377' > logo.bin");
    const [first] = (await glue()).sessions.all();
    const read = async (scheme: string, name: string): Promise<Buffer> =>
      Buffer.from(
        await vscode.workspace.fs.readFile(vscode.Uri.parse(`${scheme}:/${first?.id}/${name}`)),
      );
    assert.equal((await read('glue-base', 'sides.txt')).toString(), 'before\n');
    assert.equal((await read('glue-sandbox', 'sides.txt')).toString(), 'after\n');
    assert.deepEqual([...(await read('glue-sandbox', 'logo.bin'))], [0, 1, 255]);
    await assert.rejects(read('glue-base', 'logo.bin'), /not in the base version|FileNotFound/);
  });

  it('shows all changes in one editor, and new ones in it as they come', async () => {
    write('seen.txt', 'before\n');
    const id = await inSandbox('echo after > seen.txt');
    await vscode.commands.executeCommand('glue.review');
    await until('the multi-diff editor', () =>
      tabLabels().some((label) => label.startsWith('Sandbox changes')),
    );
    const shown = await vscode.workspace.openTextDocument(
      vscode.Uri.parse(`glue-sandbox:/${id}/seen.txt`),
    );
    await inSandbox('echo later > seen.txt');
    await until('the newer text', () => shown.getText() === 'later\n');
  });

  it('asks before most files are deleted, and shows them first when told so', async () => {
    for (let i = 0; i < 60; i++) write(`many/${i}.txt`, `${i}\n`);
    await inSandbox('find . -type f -not -path "./.git/*" -delete');
    questions.answer(/more than text: \d+ files/, 'Return');
    questions.answer(/deleted most of the files/, 'Look at It First');
    await vscode.commands.executeCommand('glue.session.return');
    await questions.told(/deleted most of the files/);
    await until('the multi-diff editor', () =>
      tabLabels().some((label) => label.startsWith('Sandbox changes')),
    );
    assert.equal(onDisk('many/1.txt'), '1\n');
    const { id } = (await glue()).sessions.all()[0] ?? assert.fail();
    await (await glue()).request('glue/session/discard', { session: id });
    await (await glue()).request('glue/session/close', { session: id, return: false });
  });

  it('discards what a person does not want', async () => {
    const id = await inSandbox('echo unwanted > unwanted.txt');
    questions.answer(/Discard what the sandbox did to unwanted\.txt/, 'Discard Change');
    await vscode.commands.executeCommand('glue.discardAll');
    assert.deepEqual(await changedIn(id), []);
    assert.ok(!isThere('unwanted.txt'));
  });

  it('names what is more than text before it comes back, and shows it when told so', async () => {
    write('old.txt', 'still here\n');
    write('both.txt', 'one\n');
    await inSandbox("rm old.txt; echo two > both.txt; printf '\\0' > logo.bin");
    questions.answer(/Besides text, the sandbox changed 2 files/, 'Review');
    await vscode.commands.executeCommand('glue.session.return');
    await until('the multi-diff editor', () =>
      tabLabels().some((label) => label.startsWith('Sandbox changes')),
    );
    assert.deepEqual([onDisk('old.txt'), onDisk('both.txt')], ['still here\n', 'one\n']);
    assert.ok(!isThere('logo.bin'));
  });

  it('discards only what it named, not what the sandbox changed meanwhile', async () => {
    const id = await inSandbox('echo listed > listed.txt');
    questions.answerAfter(/Discard what the sandbox did to listed\.txt/, 'Discard Change', () =>
      inSandbox('echo later > later.txt'),
    );
    await vscode.commands.executeCommand('glue.discardAll');
    assert.deepEqual(await changedIn(id), ['later.txt']);
  });

  it('takes the last return of a sandbox back that has ended', async () => {
    const id = await inSandbox('echo ended > ended.txt');
    questions.answer(/1 changed file that did not come back/, 'Return & Close');
    await vscode.commands.executeCommand('glue.session.close');
    await session('that has ended', (one) => one.id === id && one.state === 'closed');
    assert.equal(onDisk('ended.txt'), 'ended\n');
    questions.answer(/Which sandbox/, undefined);
    await vscode.commands.executeCommand('glue.undoReturn');
    await questions.told(/Took 1 file back/);
    assert.ok(!isThere('ended.txt'));
  });

  it('returns onto a branch and touches no file', async () => {
    await inSandbox('echo branched > branched.txt');
    await vscode.commands.executeCommand('glue.returnToBranch');
    await questions.told(/The changes are on the branch glue\//);
    assert.ok(!isThere('branched.txt'));
  });

  it('ends a sandbox and keeps its changes for later', async () => {
    const id = await inSandbox('echo kept > kept.txt');
    questions.answer(/1 changed file that did not come back/, 'Keep for Later');
    await vscode.commands.executeCommand('glue.session.close');
    await session('that has ended', (one) => one.id === id && one.state === 'closed');
    assert.ok(!isThere('kept.txt'));
    assert.deepEqual(await changedIn(id), ['kept.txt']);
    await vscode.commands.executeCommand('glue.session.return', { session: id });
    assert.equal(onDisk('kept.txt'), 'kept\n');
  });
});
