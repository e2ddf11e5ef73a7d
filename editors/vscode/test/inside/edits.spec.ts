import * as assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { closeEditors, glue, isThere, onDisk, open, type, uri, write } from './editor';
import { Questions } from './questions';

/** The client as the server sees it, as far as it applies edits. */
interface Client {
  handleApplyWorkspaceEdit(params: object): Promise<{ applied: boolean; failureReason?: string }>;
}

async function apply(
  edit: object,
  metadata?: object,
): Promise<{ applied: boolean; failureReason?: string }> {
  const { client } = ((await glue()) as unknown as { supervisor: { client: Client } }).supervisor;
  return client.handleApplyWorkspaceEdit({ label: 'test', edit, metadata });
}

function insertion(name: string, text: string, version: number | null = null): object {
  const start = { line: 0, character: 0 };
  return {
    textDocument: { uri: uri(name).toString(), version },
    edits: [{ range: { start, end: start }, newText: text }],
  };
}

describe('edits of the server', () => {
  let questions: Questions;

  before(async () => {
    questions = new Questions();
    const it = await glue();
    await it.request('glue/session/list', {});
  });
  afterEach(closeEditors);
  after(() => questions.dispose());

  for (const metadata of [undefined, { isRefactoring: true }]) {
    it(`save what was saved and nothing else${metadata ? ', also as a refactoring' : ''}`, async () => {
      for (const name of ['dirty.txt', 'clean.txt', 'closed.txt']) write(name, `${name}\n`);
      const dirty = await type('dirty.txt', 0, 'mine\n');
      const clean = (await open('clean.txt')).document;
      const changes = [
        insertion('dirty.txt', 'theirs\n', dirty.version),
        insertion('clean.txt', 'theirs\n', clean.version),
        insertion('closed.txt', 'theirs\n'),
      ];
      assert.deepEqual(await apply({ documentChanges: changes }, metadata), { applied: true });
      assert.equal(dirty.getText(), 'theirs\nmine\ndirty.txt\n');
      assert.ok(dirty.isDirty);
      assert.equal(onDisk('dirty.txt'), 'dirty.txt\n');
      assert.ok(!clean.isDirty);
      assert.equal(onDisk('clean.txt'), 'theirs\nclean.txt\n');
      assert.equal(onDisk('closed.txt'), 'theirs\nclosed.txt\n');
    });
  }

  for (const [what, operation] of [
    ['deletes', (file: string) => ({ kind: 'delete', uri: file })],
    ['renames', (file: string) => ({ kind: 'rename', oldUri: file, newUri: `${file}.new` })],
    [
      'renames something over',
      (file: string) => ({
        kind: 'rename',
        oldUri: `${file}.other`,
        newUri: file,
        options: { overwrite: true },
      }),
    ],
    [
      'creates something over',
      (file: string) => ({ kind: 'create', uri: file, options: { overwrite: true } }),
    ],
  ] as const) {
    it(`are refused as a whole where one ${what} a file with unsaved text`, async () => {
      write('unsaved.txt', 'text\n');
      write('unsaved.txt.other', 'other\n');
      write('beside.txt', 'beside\n');
      const document = await type('unsaved.txt', 0, 'mine\n');
      const changes = [
        insertion('beside.txt', 'theirs\n'),
        operation(uri('unsaved.txt').toString()),
      ];
      await assert.rejects(
        apply({ documentChanges: changes }),
        /unsaved\.txt: the editor holds unsaved text/,
      );
      assert.equal(document.getText(), 'mine\ntext\n');
      assert.ok(document.isDirty);
      assert.ok(isThere('unsaved.txt'));
      assert.equal(onDisk('beside.txt'), 'beside\n');
    });
  }

  it('are refused where they take a file with unsaved text for a closed one', async () => {
    write('opened.txt', 'text\n');
    const document = await type('opened.txt', 0, 'mine\n');
    const { applied, failureReason } = await apply({
      documentChanges: [insertion('opened.txt', 'theirs\n')],
    });
    assert.equal(applied, false);
    assert.match(failureReason ?? '', /opened\.txt was opened and changed meanwhile/);
    assert.equal(document.getText(), 'mine\ntext\n');
  });

  it('are refused by versions that are past', async () => {
    write('past.txt', 'text\n');
    const { version } = (await open('past.txt')).document;
    const document = await type('past.txt', 0, 'mine\n');
    assert.deepEqual(
      await apply({ documentChanges: [insertion('past.txt', 'theirs\n', version)] }),
      { applied: false },
    );
    assert.equal(document.getText(), 'mine\ntext\n');
  });

  it('are made of plain changes too', async () => {
    write('plain.txt', 'text\n');
    const start = new vscode.Position(0, 0);
    const changes = {
      [uri('plain.txt').toString()]: [{ range: { start, end: start }, newText: 'theirs\n' }],
    };
    assert.deepEqual(await apply({ changes }), { applied: true });
    assert.equal(onDisk('plain.txt'), 'theirs\ntext\n');
  });
});
