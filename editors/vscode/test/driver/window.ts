import * as path from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { at } from './selectors';
import { patience, until } from './until';

/** A window of VS Code, with the verbs of a person who sits before it. */
export class Window {
  private constructor(
    readonly page: Page,
    private readonly folder: string,
    private readonly log: string[],
  ) {}

  static async open(page: Page, url: string, folder: string): Promise<Window> {
    const it = new Window(page, folder, []);
    page.setDefaultTimeout(patience);
    page.on('console', (message) => it.log.push(message.text()));
    // What VS Code asks on leaving is about text, which it has kept by then.
    page.on('dialog', (dialog) => void dialog.accept().catch(() => undefined));
    await page.goto(url, { waitUntil: 'commit' });
    await page.waitForSelector(at.workbench);
    return it;
  }

  /** Runs a command by its title in the palette. */
  async command(title: string): Promise<void> {
    await this.choose(`the command "${title}"`, 'F1', `>${title}`, title);
  }

  /** Answers the quick input that is open with text. */
  async answer(text: string): Promise<void> {
    const box = this.page.locator(at.quickInputBox);
    await box.waitFor();
    await box.fill(text);
    await box.press('Enter');
    await box.waitFor({ state: 'hidden' });
  }

  /** Takes the row that has a text, of the list that a command put. */
  async pick(row: string): Promise<void> {
    await this.page.locator(at.quickInputRow).filter({ hasText: row }).click();
    await this.page.locator(at.quickInputBox).waitFor({ state: 'hidden' });
  }

  /** Opens a file of the folder, or any by its whole path. */
  async openFile(name: string): Promise<void> {
    const base = path.basename(name);
    const file = path.resolve(this.folder, name);
    await this.choose(`the file ${name}`, 'Control+P', file, base);
    await this.page.locator(at.tab(base)).and(this.page.locator('.active')).waitFor();
    await this.editor().waitFor();
  }

  /** Types at the beginning of a line of the active editor. */
  async typeAtLine(line: number, text: string): Promise<void> {
    await this.page.keyboard.press('Control+G');
    await this.answer(`:${line}`);
    await this.page.locator(at.focusedEditor).waitFor();
    await this.page.keyboard.press('Home');
    await this.page.keyboard.insertText(text);
  }

  /** The text that the active editor shows. */
  async text(): Promise<string> {
    return shown(this.editor().locator(at.text).first());
  }

  async clickLens(title: string, nth = 0): Promise<void> {
    await this.page.locator(at.lens).filter({ hasText: title }).nth(nth).click();
  }

  /** Waits until the output panel shows a text. */
  async waitForOutput(text: string): Promise<void> {
    await this.waitForText(
      `${text} in the output`,
      this.page.locator(at.panel).locator(at.text).first(),
      text,
    );
  }

  /** Waits until the output panel shows the channel of that name. */
  async waitForChannel(name: string): Promise<void> {
    const chosen = this.page.locator(at.outputChannel).locator('option:checked');
    await until(`the channel ${name}`, async () => (await chosen.allTextContents()).includes(name));
  }

  /** The text that the terminal shows. */
  async terminalText(): Promise<string> {
    return shown(this.page.locator(at.terminalRows).first());
  }

  async waitForTerminal(text: string | RegExp): Promise<string> {
    return this.waitForText(
      `${String(text)} in the terminal`,
      this.page.locator(at.terminalRows).first(),
      text,
    );
  }

  async waitForEditor(text: string): Promise<void> {
    await this.waitForText(`${text} in the editor`, this.editor().locator(at.text).first(), text);
  }

  /** The message that has a text, of those that are shown now. */
  message(text: string | RegExp): Locator {
    return this.page.locator(at.message).filter({ hasText: text }).first();
  }

  /** Waits to be told something by a message. */
  async told(text: string | RegExp): Promise<void> {
    await this.message(text).waitFor();
  }

  /** Presses a button of the message that has a text. Messages hide after a while, behind the bell. */
  async press(text: string, button: string): Promise<void> {
    const message = this.message(text);
    const timeout = 10_000;
    for (let tries = 6; ; tries--) {
      if ((await message.count()) === 0) await this.page.locator(at.bell).click();
      try {
        await message.hover({ timeout });
        await message.locator(at.button).filter({ hasText: button }).first().click({ timeout });
        return;
      } catch (error) {
        // It may have hidden just when it was reached for.
        if (tries === 1) throw error;
      }
    }
  }

  /** Opens the difference of a file that the sandbox changed, from the source control view. */
  async openDiff(file: string): Promise<void> {
    await this.page.locator(at.activity('Source Control')).click();
    await this.page.locator(at.changed(file)).click();
    await this.page.locator(at.diffModified).first().waitFor();
  }

  /** Waits until the two sides of the difference show these texts. */
  async waitForDiff(before: string, after: string): Promise<void> {
    await this.waitForText(
      'the text before',
      this.page.locator(at.diffOriginal).locator(at.text).first(),
      before,
    );
    await this.waitForText(
      'the text of the sandbox',
      this.page.locator(at.diffModified).locator(at.text).first(),
      after,
    );
  }

  /** Runs a shell command in the sandbox, asked for by the palette. */
  async run(command: string): Promise<void> {
    await this.command('Run Command in Sandbox');
    await this.answer(command);
  }

  /** Brings the changes back by the palette, and waits to be told. */
  async returnChanges(): Promise<void> {
    await this.command('Return Changes from Sandbox');
    await this.told('Returned');
  }

  /** Whether a file's tab says that it has unsaved text. */
  async isUnsaved(file: string): Promise<boolean> {
    return (await this.page.locator(`${at.tab(file)}.dirty`).count()) > 0;
  }

  /** What the items of the language status say, behind the braces of the status bar. */
  async languageStatus(): Promise<string> {
    await this.page.locator(at.languageStatus).hover();
    return this.page.locator(at.languageStatusItems).first().innerText();
  }

  /** Waits until the language status says something: it follows the active editor. */
  async waitForStatus(text: RegExp): Promise<void> {
    await until(`a status like ${String(text)}`, async () => {
      await this.page.mouse.move(700, 4);
      return text.test(await this.languageStatus());
    });
  }

  /** Takes a picture, with the mouse where it points at nothing. */
  async screenshot(file: string): Promise<void> {
    await this.page.mouse.move(700, 4);
    await this.page.locator(at.tooltip).waitFor({ state: 'hidden' });
    await this.page.screenshot({ path: file });
  }

  /** Closes the window as a person closes a tab. */
  async close(): Promise<void> {
    const closed = this.page.waitForEvent('close');
    await this.page.close({ runBeforeUnload: true });
    await closed;
  }

  /** What the page said to its console, for a test that fails. */
  consoleText(): string {
    return this.log.join('\n');
  }

  /**
   * Opens a list by a key, types, and takes the row that has a text. The list holds what
   * there was when it opened: a window that has just opened needs a moment.
   */
  private async choose(what: string, key: string, typed: string, row: string): Promise<void> {
    await until(what, async () => {
      await this.page.keyboard.press(key);
      await this.page.locator(at.quickInputBox).fill(typed);
      const rows = this.page.locator(at.quickInputRow);
      await rows.first().waitFor();
      const wanted = rows.filter({ hasText: row }).first();
      const found = await wanted.waitFor({ timeout: 3_000 }).then(
        () => true,
        () => false,
      );
      if (found) await wanted.click();
      else await this.page.keyboard.press('Escape');
      return found;
    });
  }

  private editor(): Locator {
    return this.page.locator('.editor-group-container.active').locator(at.editor).first();
  }

  private async waitForText(what: string, where: Locator, text: string | RegExp): Promise<string> {
    let seen = '';
    return until(what, async () => {
      seen = await shown(where);
      return (typeof text === 'string' ? seen.includes(text) : text.test(seen)) && seen;
    }).catch((why: Error) => {
      throw new Error(`${why.message}; there was:\n${seen}`);
    });
  }
}

/** The text of lines as they stand, with spaces that are spaces. */
async function shown(where: Locator): Promise<string> {
  if ((await where.count()) === 0) return '';
  const lines = await where.locator('> div').evaluateAll((divs) =>
    divs
      .map((div) => ({ top: div.getBoundingClientRect().top, text: div.textContent ?? '' }))
      .sort((a, b) => a.top - b.top)
      .map((line) => line.text.trimEnd()),
  );
  return lines.join('\n').replaceAll('\u00a0', ' ').replaceAll('\u200c', '');
}
