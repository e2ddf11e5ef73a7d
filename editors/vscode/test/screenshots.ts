import * as fs from 'node:fs';
import * as path from 'node:path';
import { closeBrowser } from './driver/browser';
import * as paths from './driver/paths';
import { inWorld } from './driver/world';
import { tellStory } from './window/story';

// Takes the pictures of docs/images/ while the story that the tests hold is told.
async function main(): Promise<void> {
  fs.mkdirSync(paths.images, { recursive: true });
  await inWorld({}, ({ vscode, gate }) =>
    tellStory(vscode, gate, (name, window) =>
      window.screenshot(path.join(paths.images, `vscode-${name}.png`)),
    ),
  );
  await closeBrowser();
}

main().catch((why: unknown) => {
  console.error(why);
  process.exitCode = 1;
});
