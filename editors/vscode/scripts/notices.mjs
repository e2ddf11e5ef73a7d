// Writes the notices of what is in the package and was written by others: the npm packages
// in the bundle, and the Go modules in the server.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const licence = /^(licen[cs]e|copying|notice)/iu;

// notices gives the text. inputs are the files that esbuild bundled.
export function notices(inputs, server) {
  const parts = [...npmPackages(inputs), ...goModules(server)];
  const list = parts.map(({ name, version }) => `- ${name} ${version}`).join('\n');
  const texts = parts.map(({ name, version, dir }) => {
    const text = licenceFiles(dir).map((file) => readFileSync(file, 'utf8').trim());
    if (text.length === 0) {
      throw new Error(`${name} ${version} in ${dir} has no licence file`);
    }
    return [`${'-'.repeat(78)}\n${name} ${version}`, ...text].join('\n\n');
  });
  return `This package holds work of others:\n\n${list}\n\n${texts.join('\n\n')}\n`.replaceAll(
    '\r\n',
    '\n',
  );
}

function npmPackages(inputs) {
  const dirs = new Set();
  for (const input of inputs) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//u.exec(input);
    if (found !== null) {
      dirs.add(found[1]);
    }
  }
  return [...dirs].sort().map((dir) => {
    const { name, version } = JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8'));
    return { name, version, dir };
  });
}

// goModules asks Go what the program was built from, and where that lies.
function goModules(server) {
  const cache = run('go', 'env', 'GOMODCACHE').trim();
  const goroot = run('go', 'env', 'GOROOT').trim();
  const out = [{ name: 'Go', version: run('go', 'env', 'GOVERSION').trim(), dir: goroot }];
  for (const line of run('go', 'version', '-m', server).split('\n')) {
    const [kind, name, version] = line.trim().split('\t');
    if (kind === 'dep') {
      const escaped = name.replace(/[A-Z]/gu, (c) => `!${c.toLowerCase()}`);
      out.push({ name, version, dir: path.join(cache, `${escaped}@${version}`) });
    }
  }
  return out;
}

function licenceFiles(dir) {
  return readdirSync(dir)
    .filter((name) => licence.test(name))
    .sort()
    .map((name) => path.join(dir, name));
}

function run(program, ...args) {
  return execFileSync(program, args, { encoding: 'utf8', cwd: path.resolve('../..') });
}
