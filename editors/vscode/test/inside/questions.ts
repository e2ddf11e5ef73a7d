import * as vscode from 'vscode';
import { until } from '../driver/until';

/** A message, pick or input that the extension put to the person. */
export interface Question {
  kind: 'information' | 'warning' | 'error' | 'pick' | 'input';
  text: string;
  buttons: string[];
  modal: boolean;
}

type Answer = string | undefined;

/**
 * Stands in for the person before VS Code's messages: records them and presses the buttons
 * that a test wants. A message that no test speaks of stays open, as it would.
 */
export class Questions {
  readonly asked: Question[] = [];
  private readonly answers: {
    pattern: RegExp;
    answer: Answer;
    before?: () => Promise<unknown>;
  }[] = [];
  private readonly restore: (() => void)[] = [];

  constructor() {
    this.replace('showInformationMessage', 'information');
    this.replace('showWarningMessage', 'warning');
    this.replace('showErrorMessage', 'error');
    const input = vscode.window.showInputBox;
    vscode.window.showInputBox = (options) =>
      this.ask({
        kind: 'input',
        text: options?.prompt ?? options?.placeHolder ?? '',
        buttons: [],
        modal: false,
      });
    const pick = vscode.window.showQuickPick;
    const target = vscode.window as { showQuickPick: unknown };
    target.showQuickPick = async (
      items: Thenable<readonly Item[]> | readonly Item[],
      options?: vscode.QuickPickOptions,
    ) => {
      const all = await items;
      const question: Question = {
        kind: 'pick',
        text: options?.placeHolder ?? options?.title ?? '',
        buttons: all.map(label),
        modal: false,
      };
      const chosen = await this.ask(question);
      return all.find((one) => label(one) === chosen);
    };
    this.restore.push(() => {
      vscode.window.showInputBox = input;
      vscode.window.showQuickPick = pick;
    });
  }

  /** The next question whose text fits is answered so; undefined closes it. */
  answer(pattern: RegExp, answer: Answer): void {
    this.answers.push({ pattern, answer });
  }

  /** So is it, once something has happened while it stood open. */
  answerAfter(pattern: RegExp, answer: Answer, before: () => Promise<unknown>): void {
    this.answers.push({ pattern, answer, before });
  }

  /** Waits until something that fits was asked or told. */
  async told(pattern: RegExp): Promise<Question> {
    return until(`a message like ${String(pattern)}`, () =>
      this.asked.find((one) => pattern.test(one.text)),
    ).catch((why: Error) => {
      throw new Error(
        `${why.message}; there were:\n${this.asked.map((one) => `${one.kind}: ${one.text} [${one.buttons.join(', ')}]`).join('\n')}`,
      );
    });
  }

  forget(): void {
    this.asked.length = 0;
    this.answers.length = 0;
  }

  dispose(): void {
    for (const one of this.restore) one();
  }

  private replace(
    name: 'showInformationMessage' | 'showWarningMessage' | 'showErrorMessage',
    kind: Question['kind'],
  ): void {
    const target = vscode.window as unknown as Record<string, unknown>;
    const original = target[name];
    target[name] = async (text: string, ...rest: (Item | vscode.MessageOptions)[]) => {
      const options = rest.find(
        (one): one is vscode.MessageOptions => typeof one === 'object' && !('title' in one),
      );
      const items = rest.filter((one): one is Item => one !== options);
      const chosen = await this.ask({
        kind,
        text,
        buttons: items.map(label),
        modal: options?.modal ?? false,
      });
      return items.find((one) => label(one) === chosen);
    };
    this.restore.push(() => (target[name] = original));
  }

  private async ask(question: Question): Promise<Answer> {
    this.asked.push(question);
    const i = this.answers.findIndex((one) => one.pattern.test(question.text));
    if (i < 0) return new Promise<Answer>(() => undefined);
    const given = this.answers.splice(i, 1)[0];
    await given?.before?.();
    return given?.answer;
  }
}

type Item = string | { title?: string; label?: string };

function label(item: Item): string {
  return typeof item === 'string' ? item : (item.title ?? item.label ?? '');
}
