import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as vscode from 'vscode';
import { until } from '../driver/until';
import { closeEditors, folder, glue, isThere, onDisk, session, type, uri, write } from './editor';
import { Questions } from './questions';

/** Runs a command in the folder's sandbox and waits until what it changed is stored here. */
async function inSandbox(command: string): Promise<string> {
  const it = await glue();
  const { id } = (await it.request('glue/session/open', {
    workspaceFolder: vscode.Uri.file(folder()).toString(),
  })) as { id: string };
  const result = (await it.request('glue/exec', { session: id, command })) as {
    exitCode: number;
    checkpoint: number;
  };
  assert.equal(result.exitCode, 0);
  await session(
    'with the checkpoint',
    (one) => one.id === id && one.checkpoint.seq >= result.checkpoint && one.execs.length === 0,
  );
  return id;
}

function mergeTab(): vscode.Tab | undefined {
  return vscode.window.tabGroups.all
    .flatMap((group) => group.tabs)
    .find((tab) => tab.label.startsWith('Merging'));
}

async function openMerge(): Promise<vscode.TextDocument> {
  void vscode.commands.executeCommand('glue.resolveConflict');
  await until('the merge editor', mergeTab);
  return until('the merge', () =>
    vscode.workspace.textDocuments.find((one) => one.uri.scheme === 'glue-merge'),
  );
}

describe('conflicts', () => {
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

  const mine = 'ONE\n\nmine\n\nfour\n\nfive\n';
  const rest = 'ONE\n\ntwo\n\nfour\n\nFIVE\n'; // merged but for the conflict

  async function inConflict(name: string): Promise<void> {
    write(name, 'one\n\ntwo\n\nfour\n\nfive\n');
    await inSandbox(`sed -i 's/two/sandbox/; s/five/FIVE/' ${name}`);
    write(name, mine);
    await vscode.commands.executeCommand('glue.session.return');
    await questions.told(new RegExp(`Changed on both sides: ${name}`));
    assert.equal(onDisk(name), mine);
  }

  it('opens in the merge editor, which merges the rest by itself, and returns what was made', async () => {
    await inConflict('first.txt');
    const merge = await openMerge();
    await until('the merge of the rest', () => merge.getText() === rest);
    const edit = new vscode.WorkspaceEdit();
    edit.replace(merge.uri, new vscode.Range(2, 0, 2, 3), 'mine and sandbox');
    assert.ok(await vscode.workspace.applyEdit(edit));
    assert.equal(onDisk('first.txt'), mine);
    await merge.save();
    const tab = mergeTab();
    assert.ok(tab);
    await vscode.window.tabGroups.close(tab);
    await until(
      'the merge to be returned',
      () => onDisk('first.txt') === 'ONE\n\nmine and sandbox\n\nfour\n\nFIVE\n',
    );
    await questions.told(/Returned 1 file/);
  });

  it('asks before a merge that takes neither side is returned, and keeps both without an answer', async () => {
    await inConflict('second.txt');
    const merge = await openMerge();
    await until('the merge of the rest', () => merge.getText() === rest);
    questions.answer(/takes neither side at 1 conflict/, undefined);
    await merge.save();
    const tab = mergeTab();
    assert.ok(tab);
    await vscode.window.tabGroups.close(tab);
    await questions.told(/takes neither side at 1 conflict/);
    assert.equal(onDisk('second.txt'), mine);
  });

  it('takes text that was typed meanwhile into the merge', async () => {
    await inConflict('third.txt');
    const merge = await openMerge();
    await until('the merge of the rest', () => merge.getText() === rest);
    const document = await type('third.txt', 4, 'typed meanwhile\n');
    const edit = new vscode.WorkspaceEdit();
    edit.replace(merge.uri, new vscode.Range(2, 0, 2, 3), 'settled');
    assert.ok(await vscode.workspace.applyEdit(edit));
    await merge.save();
    const tab = mergeTab();
    assert.ok(tab);
    await vscode.window.tabGroups.close(tab);
    await until(
      'the merge in the unsaved text',
      () => document.getText() === 'ONE\n\nsettled\n\ntyped meanwhile\nfour\n\nFIVE\n',
    );
    assert.ok(document.isDirty);
  });

  it('goes on with a merge in progress when the conflict is clicked again', async () => {
    await inConflict('again.txt');
    // A group that is left without a tab closes, and the next one takes its number.
    await vscode.window.showTextDocument(uri('again.txt'), { preview: false });
    const merge = await openMerge();
    await until('the merge of the rest', () => merge.getText() === rest);
    const edit = new vscode.WorkspaceEdit();
    edit.replace(merge.uri, new vscode.Range(2, 0, 2, 3), 'half way');
    assert.ok(await vscode.workspace.applyEdit(edit));
    await merge.save();
    await vscode.commands.executeCommand('glue.resolveConflict');
    await vscode.commands.executeCommand('workbench.action.moveEditorToNextGroup');
    await until('the merge in another group', () =>
      vscode.window.tabGroups.all.some(
        (group) => group.viewColumn !== 1 && group.tabs.some((tab) => tab === mergeTab()),
      ),
    );
    assert.equal(merge.getText(), 'ONE\n\nhalf way\n\nfour\n\nFIVE\n');
    assert.equal(onDisk('again.txt'), mine);
    const tab = mergeTab();
    assert.ok(tab);
    await vscode.window.tabGroups.close(tab);
    await until(
      'the merge in the file',
      () => onDisk('again.txt') === 'ONE\n\nhalf way\n\nfour\n\nFIVE\n',
    );
  });

  it('keeps a merge that was not returned, and opens it again', async () => {
    await inConflict('lost.txt');
    const merge = await openMerge();
    await until('the merge of the rest', () => merge.getText() === rest);
    const edit = new vscode.WorkspaceEdit();
    edit.insert(merge.uri, new vscode.Position(0, 0), 'work of hours\n');
    assert.ok(await vscode.workspace.applyEdit(edit));
    await merge.save();
    questions.answer(/takes neither side at 1 conflict/, undefined);
    questions.answer(/merge of lost\.txt was not returned/, 'Open the Merge Again');
    const tab = mergeTab();
    assert.ok(tab);
    await vscode.window.tabGroups.close(tab);
    await questions.told(/merge of lost\.txt was not returned/);
    await until('the merge editor', mergeTab);
    const again = await vscode.workspace.openTextDocument(merge.uri);
    assert.equal(again.getText(), 'work of hours\n' + rest);
    assert.equal(onDisk('lost.txt'), mine);
    questions.answer(/takes neither side at 1 conflict/, undefined);
  });

  it('asks which side to keep of what is no text', async () => {
    fs.writeFileSync(uri('logo.bin').fsPath, Buffer.from([0, 1]));
    await inSandbox("printf '\\0\\2' > logo.bin");
    fs.writeFileSync(uri('logo.bin').fsPath, Buffer.from([0, 3]));
    questions.answer(/more than text: logo\.bin/, 'Return');
    await vscode.commands.executeCommand('glue.session.return');
    questions.answer(/logo\.bin was changed on both sides/, "Take the Sandbox's");
    await vscode.commands.executeCommand('glue.resolveConflict');
    assert.deepEqual([...fs.readFileSync(uri('logo.bin').fsPath)], [0, 2]);
  });

  it('keeps my file that the sandbox deleted, and does not ask again', async () => {
    write('kept.txt', 'text\n');
    const id = await inSandbox('rm kept.txt');
    write('kept.txt', 'changed here\n');
    questions.answer(/more than text: kept\.txt \(deleted\)/, 'Return');
    await vscode.commands.executeCommand('glue.session.return');
    questions.answer(/kept\.txt was changed on both sides/, 'Keep Mine');
    await vscode.commands.executeCommand('glue.resolveConflict');
    assert.ok(isThere('kept.txt'));
    const { conflicts } = (await (
      await glue()
    ).request('glue/session/return', { session: id, apply: false })) as { conflicts: unknown[] };
    assert.deepEqual(conflicts, []);
  });
});
