// Runs the tests of what needs no editor: every *.test.ts beside its subject. Arguments
// are passed on to node's test runner.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';

const out = 'dist/unit';
rmSync(out, { recursive: true, force: true });
const tests = readdirSync('src', { recursive: true }).filter((name) => name.endsWith('.test.ts'));
await build({
  entryPoints: tests.map((name) => path.join('src', name)),
  outdir: out,
  outbase: 'src',
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  sourcemap: 'inline',
  logLevel: 'warning',
});
const { status } = spawnSync(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    '--test-reporter=dot',
    ...process.argv.slice(2),
    ...tests.map(bundled),
  ],
  { stdio: 'inherit' },
);
process.exit(status ?? 1);

function bundled(name) {
  return path.join(out, name.replace(/\.ts$/u, '.js'));
}
