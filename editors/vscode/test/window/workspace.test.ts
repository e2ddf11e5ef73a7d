import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { inWorld } from '../driver/world';

describe('a workspace of two folders, one of them a repository', () => {
  it('each has its sandbox, output, status and changes', () => {
    const list = 'print("pl" + "ums")\nopen("orders.txt", "w").write("pears")\n';
    return inWorld({ second: { 'list.py': list } }, async ({ vscode, machine }) => {
      const inStall = (name: string): string => path.join(machine.second, name);
      const window = await vscode.open({ workspace: machine.workspace });
      await window.openFile(inStall('list.py'));
      await window.clickLens('Run in sandbox');
      await window.waitForChannel('Glue: stall');
      await window.waitForOutput('plums');
      await window.told('The sandbox of stall has 1 changed file to return.');

      await window.openFile('prices.py');
      await window.waitForStatus(/No sandbox/);
      await window.typeAtLine(4, 'CHERRY = 30\n');
      await window.run('grep CHERRY prices.py | tee cherries.txt; echo figs > figs.txt');
      await window.waitForChannel('Glue: shop');
      await window.waitForOutput('CHERRY = 30');
      await window.told('The sandbox of shop has 2 changed files to return.');
      await window.waitForStatus(/2 changed files to return/);
      await window.openFile(inStall('list.py'));
      await window.waitForStatus(/1 changed file to return/);

      await window.command('Return Changes from Sandbox');
      await window.pick('stall');
      await window.told('Returned 1 file');
      assert.equal(fs.readFileSync(inStall('orders.txt'), 'utf8'), 'pears');
      assert.ok(!machine.exists('orders.txt') && !machine.exists('figs.txt'));

      await window.press('The sandbox of shop has', 'Return');
      await window.told('Returned 2 files');
      assert.equal(machine.read('cherries.txt'), 'CHERRY = 30\n');
      assert.equal(machine.read('figs.txt'), 'figs\n');
      assert.deepEqual(fs.readdirSync(machine.second).sort(), ['list.py', 'orders.txt']);
      assert.ok(!machine.read('prices.py').includes('CHERRY'), 'nobody saved it');
      await window.close();
    });
  });
});
