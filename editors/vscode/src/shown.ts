// Text that a person is shown outside of documents: messages, lists, titles.
import { plainLine } from './run/clean';

const longestLine = 4000;

// shown makes text of anything: names of files and tests, a server's and a sandbox's words.
// Control characters and marks that turn text around are gone; and VS Code makes links of
// [text](target) in messages, which may run commands: these are taken apart.
export function shown(text: string): string {
  const lines = text.split(/\r\n|\r|\n/u).map((line) => plainLine(line, longestLine, true));
  return lines.join('\n').replace(/\](?=\()/gu, ']\u200b');
}
