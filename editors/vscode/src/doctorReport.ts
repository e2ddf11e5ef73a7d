// The doctor's report as Markdown.
import type { Check, Requests } from './protocol';
import { plainLine } from './run/clean';

type Result = Requests['glue/doctor']['result'];

const headings: [Check['status'], string][] = [
  ['fail', 'Does not work'],
  ['warn', 'Works in part'],
  ['ok', 'Works'],
];

export function doctorReport(result: Result): string {
  const lines = ['# What sandboxes need', '', summary(result)];
  for (const [status, heading] of headings) {
    const checks = result.checks.filter((c) => c.status === status);
    if (checks.length > 0) {
      lines.push('', `## ${heading}`, '', ...checks.flatMap(lineOf));
    }
  }
  return `${lines.join('\n')}\n`;
}

function summary(result: Result): string {
  if (!result.ok) {
    return 'Something is missing: see below what to do.';
  }
  return result.checks.some((c) => c.status === 'warn')
    ? 'Sandboxes can be opened, but not everything works.'
    : 'Everything works.';
}

function lineOf(c: Check): string[] {
  const line = `- **${escape(c.name)}**: ${escape(c.detail)}`;
  return c.hint === undefined || c.hint === '' ? [line] : [line, `  - To do: ${escape(c.hint)}`];
}

// Details come from programs and files of this machine; they are text and not Markdown.
function escape(text: string): string {
  return plainLine(text, 2000).replace(/[\\`*_[\]<>]/gu, '\\$&');
}
