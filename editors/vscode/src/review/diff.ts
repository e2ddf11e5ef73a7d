// Opens what a sandbox changed: one file in a diff editor, all of them in the multi-diff editor.
import * as path from 'node:path';
import * as vscode from 'vscode';
import * as messages from '../messages';
import type { FileChange, SessionInfo } from '../protocol';
import { count } from '../words';
import type { SessionChanges } from './changes';
import { isShownAsText, PAGE, pages } from './groups';
import type { Page } from './groups';
import { absentUri, BASE, before, hostUri, SANDBOX, versionUri } from './uris';

export interface Sides {
  // Absent on a side where the file is not there.
  base?: vscode.Uri;
  sandbox?: vscode.Uri;
}

export function sidesOf(session: string, change: FileChange): Sides {
  return {
    base: change.status === 'added' ? undefined : versionUri(BASE, session, before(change)),
    sandbox: change.status === 'deleted' ? undefined : versionUri(SANDBOX, session, change),
  };
}

// openDiff shows what the sandbox made of a file.
export async function openDiff(
  session: SessionInfo,
  change: FileChange,
  options: vscode.TextDocumentShowOptions = { preview: true },
): Promise<void> {
  if (change.status === 'mode') {
    void messages.info(`${change.path}: ${modeText(change)}. Its content is the same.`);
    return;
  }
  const sides = sidesOf(session.id, change);
  await vscode.commands.executeCommand(
    'vscode.diff',
    sides.base ?? absentUri(BASE, session.id, before(change)),
    sides.sandbox ?? absentUri(SANDBOX, session.id, change),
    diffTitle(change),
    options,
  );
}

// compareWithMine shows the person's own file, as it is now, beside the sandbox's.
export async function compareWithMine(session: SessionInfo, change: FileChange): Promise<void> {
  const mine = hostUri(session, before(change));
  const isThere = mine !== undefined && (await exists(mine));
  await vscode.commands.executeCommand(
    'vscode.diff',
    isThere ? mine : absentUri(BASE, session.id, before(change)),
    sidesOf(session.id, change).sandbox ?? absentUri(SANDBOX, session.id, change),
    `${path.posix.basename(change.path)} (mine ↔ sandbox)`,
    { preview: true },
  );
}

async function exists(uri: vscode.Uri): Promise<boolean> {
  try {
    await vscode.workspace.fs.stat(uri);
    return true;
  } catch {
    return false;
  }
}

export function diffTitle(change: FileChange): string {
  const name = path.posix.basename(change.path);
  switch (change.status) {
    case 'added':
      return `${name} (added in the sandbox)`;
    case 'deleted':
      return `${name} (deleted in the sandbox)`;
    case 'renamed':
      return `${path.posix.basename(before(change).path)} → ${name} (renamed in the sandbox)`;
    case 'type':
      return `${name} (${change.kind === 'symlink' ? 'became a link' : 'became a file'} in the sandbox)`;
    default:
      return `${name} (before ↔ sandbox)`;
  }
}

// describeChange says in a few words what a difference of texts does not show.
export function describeChange(change: FileChange): string {
  const parts: string[] = [];
  if (
    change.status === 'mode' ||
    (change.status !== 'added' && change.status !== 'deleted' && change.oldMode !== change.newMode)
  ) {
    parts.push(modeText(change));
  }
  if (change.kind !== 'text') {
    parts.push(change.kind === 'symlink' ? 'link' : 'binary');
  }
  if (change.status === 'added' || change.status === 'deleted' || change.status === 'type') {
    parts.push(change.status === 'type' ? 'another kind of file' : change.status);
  }
  if (change.status === 'renamed') {
    parts.push(`renamed from ${before(change).path}`);
  }
  return parts.join(', ');
}

function modeText(change: FileChange): string {
  const octal = (mode: number | undefined) => (mode ?? 0).toString(8);
  return `mode ${octal(change.oldMode)} → ${octal(change.newMode)}`;
}

// reviewTitle begins the title of every multi-diff editor of ours.
export const reviewTitle = 'Sandbox changes';

// openReview shows all changes of texts in one editor. What that cannot show is named,
// and more files than it takes well come in pages.
export async function openReview(changes: SessionChanges): Promise<void> {
  const all = pages(changes.files);
  const page = all.length === 1 ? all[0] : await choosePage(all, changes.files);
  if (page === undefined) {
    return;
  }
  if (page.texts.length > 0) {
    const resources = page.texts.map((change) => {
      const { base, sandbox } = sidesOf(changes.session.id, change);
      return [sandbox ?? base, base, sandbox];
    });
    await vscode.commands.executeCommand('vscode.changes', pageTitle(page), resources);
  }
  const others = changes.files.filter((f) => !isShownAsText(f));
  if (others.length > 0 && (page.number === 1 || page.texts.length === 0)) {
    void tellOthers(changes.session, others, page.texts.length > 0);
  }
}

function pageTitle(page: Page): string {
  const from = (page.number - 1) * PAGE;
  const range = ` ${String(from + 1)}–${String(from + page.texts.length)}`;
  return reviewTitle + (page.count === 1 ? '' : range); // VS Code adds how many there are
}

async function choosePage(
  all: readonly Page[],
  files: readonly FileChange[],
): Promise<Page | undefined> {
  const items = all.map((page) => ({
    page,
    label: `Files ${pageTitle(page).slice(reviewTitle.length + 1)}`,
    description: `${page.texts[0]?.path ?? ''} … ${page.texts.at(-1)?.path ?? ''}`,
  }));
  const placeHolder = `${count(files.length, 'file')} changed. Which of them shall be shown?`;
  return (await messages.pick(items, { placeHolder }))?.page;
}

async function tellOthers(
  session: SessionInfo,
  others: readonly FileChange[],
  more: boolean,
): Promise<void> {
  const open = 'Choose One to Open…';
  const named = others.slice(0, 5).map((f) => `${f.path} (${describeChange(f)})`);
  if (others.length > 5) {
    named.push(`and ${String(others.length - 5)} more`);
  }
  const text = `${more ? 'Also changed' : 'Changed'}, but not shown as text: ${named.join(', ')}.`;
  if ((await messages.info(text, open)) !== open) {
    return;
  }
  const items = others.map((change) => ({
    change,
    label: change.path,
    description: describeChange(change),
  }));
  const chosen = await messages.pick(items, { placeHolder: 'Open' });
  if (chosen !== undefined) {
    await openDiff(session, chosen.change);
  }
}
