import assert from 'node:assert/strict';
import { test } from 'node:test';
import { neededMethods, protocolVersion } from '../protocol';
import { checkVersion, WrongServer } from './version';

function answer(glue: unknown): Parameters<typeof checkVersion>[0] {
  return {
    capabilities: { experimental: { glue } },
    serverInfo: { name: 'glue-lsp', version: '2.1.0' },
  };
}

function refused(glue: unknown, why: RegExp): void {
  assert.throws(
    () => {
      checkVersion(answer(glue), '/opt/glue-lsp');
    },
    (error) => error instanceof WrongServer && why.test(error.message),
  );
}

test('A server of this version with all methods is taken, whatever more it can do', () => {
  const methods = [...neededMethods, 'glue/session/more'];
  checkVersion(answer({ version: protocolVersion, methods }), '/opt/glue-lsp');
});

test('Which of both has to be updated is said', () => {
  const older = { version: protocolVersion - 1, methods: neededMethods };
  refused(older, /^\/opt\/glue-lsp is glue-lsp 2\.1\.0 with version 0 .* Update the server\.$/u);
  refused({ ...older, version: protocolVersion + 1 }, /Update the extension\.$/u);
});

test('A server without a method that is needed is refused by its name', () => {
  const [missing, ...methods] = neededMethods;
  refused({ version: protocolVersion, methods }, new RegExp(`it lacks ${String(missing)}`, 'u'));
  refused({ version: protocolVersion }, new RegExp(`it lacks ${neededMethods.join(', ')}`, 'u'));
});

test('Another language server is told from ours', () => {
  refused(undefined, /is a language server, but not glue-lsp\.$/u);
  refused({ version: '1' }, /is a language server, but not glue-lsp\.$/u);
  assert.throws(() => {
    checkVersion(undefined, '/opt/x');
  }, WrongServer);
});
