// Puts the server that `make build` made into bin/, where the extension looks first.
import { chmodSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

export const bundled = 'bin/glue-lsp';
const built = '../../bin/glue-lsp';

export function copyServer(file = process.env.GLUE_SERVER ?? built) {
  let head;
  try {
    head = readFileSync(file).subarray(0, 20);
  } catch {
    throw new Error(`There is no server at ${file}. Build it: make build`);
  }
  // ELF for x86-64: the package says that it is for nothing else.
  if (head.toString('latin1', 0, 4) !== '\x7fELF' || head.readUInt16LE(18) !== 0x3e) {
    throw new Error(`${file} is not a program for Linux on x86-64`);
  }
  mkdirSync('bin', { recursive: true });
  copyFileSync(file, bundled);
  chmodSync(bundled, 0o755);
  return bundled;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  copyServer();
}
