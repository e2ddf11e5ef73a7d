import { at } from '../driver/selectors';
import { inWorld } from '../driver/world';

describe('a terminal in the sandbox', () => {
  for (const inModal of [false, true]) {
    it(`shows the tree, obeys Ctrl-C and knows its size, ${inModal ? 'in Modal' : 'on this machine'}`, () =>
      inWorld({ inModal }, async ({ vscode }) => {
        const window = await vscode.open();
        await window.openFile('prices.py');
        await window.typeAtLine(4, 'CHERRY = 30\n');
        await window.command('Open Sandbox Terminal');
        await window.page.locator(at.terminal).first().click();
        const enter = async (line: string): Promise<void> => {
          await window.page.keyboard.type(line);
          await window.page.keyboard.press('Enter');
        };
        await enter('grep CHERRY prices.py');
        await window.waitForTerminal('CHERRY = 30');
        await enter("echo slee''ping; sleep 100000; echo wo''ken");
        await window.waitForTerminal('sleeping');
        await window.page.keyboard.press('Control+C');
        await enter("echo rows=$(stty size | cut -d' ' -f1)");
        await window.waitForTerminal(/^rows=\d+$/m);
        const before = await window.terminalText();
        await window.command('Toggle Maximized Panel');
        await window.page.locator(at.terminal).first().click();
        await enter("clear; echo now=$(stty size | cut -d' ' -f1)");
        const after = await window.waitForTerminal(/^now=\d+$/m);
        const rows = (text: string, name: string): number =>
          Number(new RegExp(`^${name}=(\\d+)$`, 'm').exec(text)?.[1]);
        if (!(rows(after, 'now') > rows(before, 'rows')))
          throw new Error(`no more rows:\n${before}\n${after}`);
        if (before.includes('woken')) throw new Error('Ctrl-C did not end the command line');
        await enter('exit');
        await window.close();
      }));
  }
});
