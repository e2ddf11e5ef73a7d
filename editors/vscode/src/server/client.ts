// The language client, with what glue-lsp needs otherwise than other servers.
import type {
  ClientCapabilities,
  DynamicFeature,
  LanguageClientOptions,
  ServerOptions,
  StaticFeature,
} from 'vscode-languageclient/node';
import { ExecuteCommandRequest, LanguageClient } from 'vscode-languageclient/node';
import { cleaned } from './cleaned';

export class GlueClient extends LanguageClient {
  constructor(serverOptions: ServerOptions, clientOptions: LanguageClientOptions) {
    super('glue', 'Glue', serverOptions, {
      ...clientOptions,
      connectionOptions: {
        messageStrategy: { handleMessage: (message, next) => next(cleaned(message)) },
      },
    });
    this.registerFeature(new Announcement());
  }

  // The server's commands are registered by the extension, for as long as it is active:
  // it shows output while it comes, and starts the server where it does not run.
  override registerFeature(feature: StaticFeature | DynamicFeature<unknown>): void {
    if (
      'registrationType' in feature &&
      feature.registrationType.method === ExecuteCommandRequest.method
    ) {
      return;
    }
    super.registerFeature(feature);
  }

  // What goes wrong with the connection is told by the supervisor, in its own words and
  // with buttons that help; the library's messages only go to the log.
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

// Announcement tells the server what this client does by itself: it edits only what is
// not saved, and asks and tells about changes and ended sessions.
class Announcement implements StaticFeature {
  fillClientCapabilities(capabilities: ClientCapabilities): void {
    capabilities.experimental = { glue: { editUnsavedOnly: true, review: true } };
  }

  initialize(): void {
    // nothing to set up
  }

  getState(): { kind: 'static' } {
    return { kind: 'static' };
  }

  clear(): void {
    // nothing was set up
  }
}
