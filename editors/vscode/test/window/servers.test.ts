import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import * as paths from '../driver/paths';
import { until } from '../driver/until';
import { inWorld } from '../driver/world';
import { waitAt } from './story';

const serverOf = (machine: { products(): { pid: number; command: string }[] }) =>
  machine.products().find((one) => /glue-lsp (serve|--stdio)|glue-lsp$/.test(one.command));

describe('a server that is not as it should be', () => {
  it('is missing: says where it was looked for, and goes on when it is there', () =>
    withServer(undefined, (named) =>
      inWorld({ programs: { 'glue.serverPath': named } }, async ({ vscode, machine }) => {
        const window = await vscode.open();
        await window.openFile('prices.py');
        await window.told(`${named}, where there is no program`);
        assert.deepEqual(machine.products(), []);
        fs.symlinkSync(paths.server, named);
        await window.press('where there is no program', 'Try Again');
        await window.run("echo th''ere");
        await window.waitForOutput('there');
        await window.close();
      }),
    ));

  it('is of another version: says which of both to update, and runs nothing', () =>
    withServer(fakeServer(99, 'pass'), (named) =>
      inWorld({ programs: { 'glue.serverPath': named } }, async ({ vscode, machine }) => {
        const window = await vscode.open();
        await window.openFile('prices.py');
        await window.told(/with version 99 of the protocol.*Update the extension\./);
        await machine.nothingLeft();
        await window.close();
      }),
    ));

  it('crashes in the middle of a command: it is started again, and what the command did is offered', () =>
    inWorld({}, async ({ vscode, machine, gate }) => {
      const window = await vscode.open();
      await window.openFile('prices.py');
      await window.typeAtLine(4, 'CHERRY = 30\n');
      await window.run(`echo plums > orders.txt; ${waitAt(gate)}`);
      await gate.reached();
      const first = await until('the server to run', () => serverOf(machine));
      process.kill(first.pid, 'SIGKILL');
      const second = await until('another server', () => {
        const now = serverOf(machine);
        return now && now.pid !== first.pid && now;
      });
      assert.notEqual(second.pid, first.pid);
      gate.open();
      await window.told(/1 changed file.*(to return|did not come back)/);
      await window.press('1 changed file', 'Return');
      await window.told('Returned 1 file');
      assert.equal(machine.read('orders.txt'), 'plums\n');
      await window.openFile('prices.py');
      await window.waitForEditor('CHERRY = 30');
      await window.run('grep CHERRY prices.py');
      await window.waitForOutput('CHERRY = 30');
      await window.close();
    }));

  it('crashes again and again: says so, and is started again by a button', () =>
    withServer(fakeServer(1, 'break'), (named) =>
      inWorld({ programs: { 'glue.serverPath': named } }, async ({ vscode }) => {
        const window = await vscode.open();
        await window.openFile('prices.py');
        await window.told('ended unexpectedly several times');
        fs.rmSync(named);
        fs.symlinkSync(paths.server, named);
        await window.press('ended unexpectedly several times', 'Restart Server');
        await window.run("echo ag''ain");
        await window.waitForOutput('again');
        await window.close();
      }),
    ));
});

/** Gives a test the name of a program that is no proper server, or of none. */
async function withServer(
  script: string | undefined,
  test: (named: string) => Promise<void>,
): Promise<void> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'glue-vscode-server-'));
  const named = path.join(dir, 'glue-lsp');
  if (script !== undefined) fs.writeFileSync(named, script, { mode: 0o755 });
  try {
    await test(named);
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}

// Answers initialize as a server of that version does; a statement says what it does then.
function fakeServer(version: number, then: string): string {
  const page = fs.readFileSync(paths.protocol, 'utf8');
  const methods = JSON.stringify(
    [...page.matchAll(/^### `(glue\/[\w/]+)`$/gm)].map((heading) => heading[1]),
  );
  return `#!/usr/bin/env python3
import json, sys
while line := sys.stdin.buffer.readline():
    length = 0
    while line.strip():
        name, value = line.split(b':', 1)
        if name.lower() == b'content-length':
            length = int(value)
        line = sys.stdin.buffer.readline()
    message = json.loads(sys.stdin.buffer.read(length))
    if message.get('method') == 'exit':
        break
    if message.get('method') == 'initialized':
        ${then}
    if 'id' in message and 'method' in message:
        glue = {'version': ${version}, 'methods': ${methods}, 'runtimes': ['local']}
        result = {'capabilities': {'experimental': {'glue': glue}}, 'serverInfo': {'name': 'glue-lsp', 'version': '${version}.0.0'}}
        answer = {'jsonrpc': '2.0', 'id': message['id'], 'result': result if message['method'] == 'initialize' else None}
        body = json.dumps(answer).encode()
        sys.stdout.buffer.write(b'Content-Length: %d\\r\\n\\r\\n' % len(body) + body)
        sys.stdout.buffer.flush()
`;
}
