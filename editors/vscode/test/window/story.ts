import * as assert from 'node:assert/strict';
import type { Gate } from '../driver/gate';
import type { VSCode } from '../driver/vscode';

/** What takes a picture, where somebody wants to see the story. */
export type Camera = (
  name: string,
  page: { screenshot(file: string): Promise<void> },
) => Promise<void>;

/**
 * The main job as a person does it: run a test on unsaved text, watch it, look at what it
 * changed, take that back, and leave in the middle of another command.
 */
export async function tellStory(vscode: VSCode, gate: Gate, picture: Camera): Promise<void> {
  const machine = vscode.machine;
  let window = await vscode.open();
  await window.openFile('prices.py');
  await window.typeAtLine(4, 'CHERRY = 30\n');
  assert.ok(await window.isUnsaved('prices.py'));

  await window.openFile('test_prices.py');
  await window.clickLens('Run in sandbox', 1);
  await gate.reached();
  await window.waitForOutput('asking the supplier for the price of a plum');
  assert.ok(gate.busy, 'the test still runs');
  await picture('run', window);
  gate.open('95');
  await window.waitForOutput('plums cost 95 now');
  await window.waitForOutput('exit status 0');

  await window.told('The sandbox has 1 changed file to return.');
  assert.match(
    await window.languageStatus(),
    machine.modal ? /Modal · \d+ min left/ : /Local, \w+/,
  );
  await window.openDiff('prices.py');
  await window.waitForDiff('PLUM = 90', 'PLUM = 95');
  await picture('diff', window);
  await window.press('The sandbox has 1 changed file', 'Return');
  await window.told('Returned 1 file.');
  await window.openFile('prices.py');
  await window.waitForEditor('CHERRY = 30');
  await window.waitForEditor('PLUM = 95');
  assert.ok(await window.isUnsaved('prices.py'), 'what was unsaved still is');
  assert.ok(!machine.read('prices.py').includes('CHERRY'), 'nobody saved it');
  await picture('returned', window);

  await window.press('Returned 1 file', 'Undo');
  await window.waitForEditor('PLUM = 90');
  await window.waitForEditor('CHERRY = 30');
  await window.returnChanges();
  await window.waitForEditor('PLUM = 95');

  gate.shut();
  await window.run(`echo plums >> orders.txt; ${waitAt(gate)}; echo pears >> orders.txt`);
  await gate.reached();
  await window.close();
  await machine.nothingLeft();
  assert.ok(!machine.exists('orders.txt'), 'nothing came back unasked');

  window = await vscode.open();
  await window.told('1 changed file that did not come back');
  await window.openFile('prices.py');
  await window.waitForEditor('CHERRY = 30');
  await window.waitForEditor('PLUM = 95');
  await picture('offer', window);
  await window.press('did not come back', 'Return');
  await window.told('Returned 1 file');
  assert.equal(machine.read('orders.txt'), 'plums\n');
  await window.close();
  await machine.nothingLeft();
}

/** A command that goes on when the gate is opened. */
export function waitAt(gate: Gate): string {
  return `python3 -c 'import urllib.request as u; u.build_opener(u.ProxyHandler({})).open("http://127.0.0.1:${gate.port}").read()'`;
}
