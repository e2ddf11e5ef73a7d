// Whether a program that answered is a server that this extension can work with.
import type { InitializeResult } from 'vscode-languageclient/node';
import { neededMethods, protocolVersion } from '../protocol';
import { programName } from './binary';

// WrongServer is a program that is not the server, or not one of this version.
export class WrongServer extends Error {}

type Answer = Pick<InitializeResult, 'capabilities' | 'serverInfo'>;

// checkVersion throws WrongServer, with what to do about it.
export function checkVersion(answer: Answer | undefined, file: string): void {
  const offer = offerIn(answer?.capabilities.experimental);
  if (offer === undefined) {
    throw new WrongServer(`${file} is a language server, but not ${programName}.`);
  }
  const name = `${file} is ${programName} ${answer?.serverInfo?.version ?? ''}`.trim();
  if (offer.version !== protocolVersion) {
    const older = offer.version < protocolVersion ? 'server' : 'extension';
    throw new WrongServer(
      `${name} with version ${offer.version} of the protocol, and this extension needs ` +
        `version ${protocolVersion}. Update the ${older}.`,
    );
  }
  const missing = neededMethods.filter((method) => !offer.methods.includes(method));
  if (missing.length > 0) {
    throw new WrongServer(
      `${name}, which is too old for this extension: it lacks ${missing.join(', ')}. ` +
        'Update the server.',
    );
  }
}

interface Offer {
  version: number;
  methods: unknown[];
}

// offerIn reads what the server says of itself, where it is glue-lsp.
function offerIn(experimental: unknown): Offer | undefined {
  const glue = memberOf(experimental, 'glue');
  const version = memberOf(glue, 'version');
  const methods = memberOf(glue, 'methods');
  return typeof version === 'number'
    ? { version, methods: Array.isArray(methods) ? methods : [] }
    : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
