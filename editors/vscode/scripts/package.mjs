// Makes dist/glue-linux-x64.vsix: the extension with the server in it. The same sources
// give the same bytes; SOURCE_DATE_EPOCH is the time that the files in it carry.
import { execFileSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { createVSIX, listFiles, PackageManager } from '@vscode/vsce';
import { bundle } from './bundle.mjs';
import { notices } from './notices.mjs';
import { copyServer } from './server.mjs';

const vsix = 'dist/glue-linux-x64.vsix';
const contents = [
  'CHANGELOG.md',
  'LICENSE',
  'README.md',
  'THIRD-PARTY-NOTICES.txt',
  'bin/glue-lsp',
  'dist/extension.js',
  'images/icon.png',
  'package.json',
  'package.nls.json',
];

process.env.SOURCE_DATE_EPOCH ??= lastCommit();
const server = copyServer();
copyFileSync('../../LICENSE', 'LICENSE');
writeFileSync('THIRD-PARTY-NOTICES.txt', notices(await bundle(), server));

const listed = await listFiles({ cwd: process.cwd(), packageManager: PackageManager.None });
const odd = [
  ...contents.filter((name) => !listed.includes(name)).map((name) => `${name} is missing`),
  ...listed.filter((name) => !contents.includes(name)).map((name) => `${name} does not belong`),
];
if (odd.length > 0) {
  throw new Error(`The package would not be what it should be: ${odd.join(', ')}`);
}
await createVSIX({
  cwd: process.cwd(),
  packagePath: vsix,
  dependencies: false,
  target: 'linux-x64',
  allowMissingRepository: true,
});
console.log(vsix);

function lastCommit() {
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' }).trim();
  } catch {
    return '0'; // not from a repository
  }
}
