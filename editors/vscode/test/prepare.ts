import * as fs from 'node:fs';
import { Machine } from './driver/machine';
import * as paths from './driver/paths';
import { VSCode } from './driver/vscode';

// Checks that everything is there that the tests need, and installs the packaged extension
// as a person does, once for all tests.
const makers = {
  [paths.node]: 'make editors-vscode (scripts/install-vscode)',
  [paths.browser]: 'make editors-vscode (scripts/install-vscode)',
  [paths.server]: 'make build',
  [paths.modalemu]: 'make modalemu',
  [paths.python]: 'make python',
  [paths.vsix]: 'npm run package',
};
for (const [file, maker] of Object.entries(makers)) {
  if (!fs.existsSync(file)) throw new Error(`${file} is missing: run ${maker}`);
}
fs.rmSync(paths.installed, { recursive: true, force: true });
const machine = new Machine();
try {
  VSCode.install(machine, paths.vsix, paths.installed);
} finally {
  machine.remove();
}
