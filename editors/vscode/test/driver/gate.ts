import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { until } from './until';

/**
 * Where commands in sandboxes wait: a service on loopback whose answer comes when the test
 * lets it. So a test can look at what is shown while a command runs, however fast it is.
 */
export class Gate {
  private readonly waiting: ServerResponse[] = [];
  private opened: string | undefined;

  private constructor(private readonly server: Server) {
    server.on('request', (_request, response: ServerResponse) => {
      if (this.opened !== undefined) response.end(this.opened);
      else {
        this.waiting.push(response);
        response.once('close', () => this.waiting.splice(this.waiting.indexOf(response), 1));
      }
    });
  }

  static async start(): Promise<Gate> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Gate(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Waits until a command has come to the gate. */
  async reached(): Promise<void> {
    await until('the command to come to the gate', () => this.waiting.length > 0);
  }

  /** Whether a command waits now. */
  get busy(): boolean {
    return this.waiting.length > 0;
  }

  /** Lets those go on that wait, and all that come after them. */
  open(answer = ''): void {
    this.opened = answer;
    for (const response of this.waiting) response.end(answer);
  }

  /** Holds whatever comes from now on. */
  shut(): void {
    this.opened = undefined;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
