import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import * as paths from '../driver/paths';
import { at } from '../driver/selectors';
import { until } from '../driver/until';
import { inWorld } from '../driver/world';

describe('folders of all kinds', () => {
  it('no folder: nothing is started, and no command is offered that needs one', () =>
    inWorld({}, async ({ vscode, machine }) => {
      const window = await vscode.open({ folder: null });
      await window.page.keyboard.press('F1');
      await window.page.locator(at.quickInputBox).fill('>Run Command in Sandbox');
      await window.page
        .locator(at.quickInputRow)
        .filter({ hasText: /similar commands|No matching commands/ })
        .waitFor();
      assert.equal(
        await window.page
          .locator(at.quickInputRow)
          .filter({ hasText: 'Run Command in Sandbox' })
          .count(),
        0,
      );
      assert.deepEqual(machine.products(), []);
      await window.close();
    }));

  it('a folder without anything to run: nothing is started before somebody asks', () =>
    inWorld(
      { committed: undefined, loose: { 'notes.txt': 'plums\n' } },
      async ({ vscode, machine }) => {
        const window = await vscode.open();
        await window.openFile('notes.txt');
        assert.deepEqual(machine.products(), []);
        await window.run('cat notes.txt');
        await window.waitForOutput('plums');
        await window.close();
      },
    ));

  it('a folder inside of a repository: the server is there without a file that can be run', () =>
    inWorld({}, async ({ vscode, machine }) => {
      machine.put({ 'docs/guide.txt': 'plums\n' });
      const window = await vscode.open({ folder: machine.path('docs') });
      await until('the server to start', () => machine.products().length > 0);
      await window.close();
    }));

  it('a folder without anything to run: what an earlier window left is offered', () =>
    inWorld(
      { committed: undefined, loose: { 'notes.txt': 'plums\n' } },
      async ({ vscode, machine }) => {
        const before = await vscode.open();
        await before.openFile('notes.txt');
        await before.run('echo pears > orders.txt');
        await before.told('The sandbox has 1 changed file');
        await before.close();
        await machine.nothingLeft();
        const after = await vscode.open();
        await after.press('1 changed file that did not come back', 'Return');
        await after.told('Returned 1 file');
        assert.equal(machine.read('orders.txt'), 'pears\n');
        await after.close();
      },
    ));

  it('a folder that is no repository: runs and returns like others', () =>
    inWorld(
      {
        committed: undefined,
        loose: { 'list.py': 'print("pl" + "ums")\nopen("orders.txt", "w").write("pears")\n' },
      },
      async ({ vscode, machine }) => {
        const window = await vscode.open();
        await window.openFile('list.py');
        await window.clickLens('Run in sandbox');
        await window.waitForOutput('plums');
        await window.told('The sandbox has 1 changed file');
        await window.press('The sandbox has 1 changed file', 'Return');
        await window.told('Returned 1 file');
        assert.equal(machine.read('orders.txt'), 'pears');
        await window.close();
      },
    ));

  it('a machine without git: says what to install', () => {
    const bin = fs.mkdtempSync('/tmp/glue-vscode-bin-');
    for (const dir of ['/usr/bin', '/bin']) {
      for (const name of fs.readdirSync(dir)) {
        const link = path.join(bin, name);
        if (!name.startsWith('git') && !fs.existsSync(link))
          fs.symlinkSync(path.join(dir, name), link);
      }
    }
    // Extension hosts have the environment of a login shell.
    return inWorld({ home: { '.profile': `PATH=${bin}\n` } }, async ({ vscode }) => {
      const window = await vscode.open();
      await window.openFile('prices.py');
      await window.run("echo ne''ver");
      await window.told(/did not run.*install git 2\.38/);
      await window.close();
    }).finally(() => fs.rmSync(bin, { recursive: true }));
  });

  it('a folder that is not trusted: its settings choose no program, and its commands run in the sandbox', () => {
    const dir = fs.mkdtempSync('/tmp/glue-vscode-evil-');
    const evil = path.join(dir, 'glue-lsp');
    fs.writeFileSync(evil, `#!/bin/sh\ntouch ${dir}/ran\n`, { mode: 0o755 });
    const settings = {
      'security.workspace.trust.enabled': true,
      'security.workspace.trust.startupPrompt': 'never',
    };
    const loose = {
      '.vscode/settings.json': JSON.stringify({
        'glue.serverPath': evil,
        'glue.local.isolation': 'none',
      }),
    };
    return inWorld({ settings, loose }, async ({ vscode }) => {
      const window = await vscode.open();
      await window.page.locator(at.banner).filter({ hasText: 'Restricted Mode' }).waitFor();
      await window.openFile('prices.py');
      await window.run("test -e $HOME/.bashrc || echo conf''ined");
      await window.waitForOutput('confined');
      assert.ok(!fs.existsSync(path.join(dir, 'ran')), 'the program of the folder did not run');
      await window.close();
    }).finally(() => fs.rmSync(dir, { recursive: true }));
  });

  it('the packaged extension brings its own server', () =>
    inWorld({ environment: { PATH: '/usr/bin:/bin' } }, async ({ vscode, machine }) => {
      const window = await vscode.open();
      await window.openFile('test_prices.py');
      await window.page.locator(at.lens).first().waitFor();
      const servers = machine.products().map((one) => one.executable);
      assert.ok(
        servers.length > 0 && servers.every((one) => one.startsWith(paths.installed)),
        servers.join(),
      );
      await window.close();
    }));

  it("two windows on one folder: each has its sandbox, and neither loses the other one's work", () =>
    inWorld({}, async ({ vscode, machine }) => {
      const left = await vscode.open();
      const right = await vscode.open();
      await left.openFile('prices.py');
      await left.run('echo plums > left.txt');
      await left.told('The sandbox has 1 changed file');
      await right.openFile('prices.py');
      await right.run('echo pears > right.txt');
      await right.press('Another window has a sandbox', 'Open Separate Sandbox');
      await right.told('The sandbox has 1 changed file');
      await left.press('The sandbox has 1 changed file', 'Return');
      await left.told('Returned 1 file');
      await right.press('The sandbox has 1 changed file', 'Return');
      await right.told('Returned 1 file');
      assert.equal(machine.read('left.txt'), 'plums\n');
      assert.equal(machine.read('right.txt'), 'pears\n');
      await left.close();
      await right.close();
    }));
});
