import { chromium, type Browser, type BrowserContext } from 'playwright-core';
import * as paths from './paths';

let shared: Promise<Browser> | undefined;

/** A person's browser: one process serves all tests, each context has its own storage. */
export async function newContext(): Promise<BrowserContext> {
  shared ??= chromium.launch({ executablePath: paths.browser, args: flags });
  const context = await (
    await shared
  ).newContext({ viewport: { width: 1280, height: 800 }, reducedMotion: 'reduce' });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  return context;
}

export async function closeBrowser(): Promise<void> {
  await (await shared)?.close();
  shared = undefined;
}

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
