// When the window's server is started, ended, started again and given up. How that is done,
// and what the person is told, is for the Supervisor.
import type { ServerState } from '../glue';
import type { Restarts } from './restarts';

// ToldError is a failure that the person was told of already.
export class ToldError extends Error {}

// Server is one that has answered, with the client that talks to it.
export interface Server<C> {
  readonly client: C;
  // whenGone calls back once, as soon as the connection or the process is gone, at once
  // where that was so before.
  whenGone(then: () => void): void;
  // stop ends it in good order; with wait it returns when the process is gone.
  stop(wait: boolean): Promise<void>;
  // bury ends what is left of one that is gone, and says how its process ended.
  bury(): Promise<string>;
}

export interface Duties<C> {
  launch(): Promise<Server<C>>;
  changed(state: ServerState): void;
  // lost is told of a server that ended by itself, and may be started again.
  lost(how: string): void;
  // failed and gaveUp tell the person, and put it into words.
  failed(error: unknown): string;
  gaveUp(how: string): string;
}

export class Lifecycle<C> {
  private current: ServerState = 'stopped';
  private running: Server<C> | undefined;
  private starting: Promise<C> | undefined;
  private stopping: Promise<void> | undefined;
  private closed = false; // the window goes: nothing starts a server any more

  constructor(
    private readonly duties: Duties<C>,
    private readonly restarts: Restarts,
  ) {}

  get state(): ServerState {
    return this.current;
  }

  get client(): C | undefined {
    return this.running?.client;
  }

  // start gives the client of the running server. A failure was told when it rejects.
  start(): Promise<C> {
    if (this.running !== undefined) {
      return Promise.resolve(this.running.client);
    }
    return this.starting ?? this.begin(() => this.startAfterStop());
  }

  // restart is what a person asks for: earlier failures do not count any more.
  async restart(): Promise<void> {
    this.restarts.reset();
    await this.starting?.catch(() => undefined);
    await this.stop(true);
    await this.start();
  }

  // close ends the server for good, and returns when the server knows of it.
  async close(): Promise<void> {
    this.closed = true;
    await this.stop(false);
  }

  private begin(work: () => Promise<C>): Promise<C> {
    const starting = work().finally(() => {
      // A server that was lost at once is being replaced by now.
      if (this.starting === starting) {
        this.starting = undefined;
      }
    });
    this.starting = starting;
    return starting;
  }

  // The one before has to be gone first: it still has the folder's sandbox.
  private async startAfterStop(): Promise<C> {
    await this.stopping;
    if (this.closed) {
      throw new ToldError('This window is closing, so that no server is started.');
    }
    this.set('starting');
    let server: Server<C>;
    try {
      server = await this.duties.launch();
    } catch (error) {
      this.set('failed');
      throw new ToldError(this.duties.failed(error), { cause: error });
    }
    if (this.isClosed()) {
      await server.stop(false);
      throw new ToldError('This window is closing.');
    }
    this.running = server;
    this.set('running');
    server.whenGone(() => {
      this.lost(server);
    });
    return server.client;
  }

  private isClosed(): boolean {
    return this.closed;
  }

  private stop(wait: boolean): Promise<void> {
    const was = this.running;
    if (was === undefined) {
      return this.stopping ?? Promise.resolve();
    }
    this.running = undefined;
    this.stopping = was.stop(wait).finally(() => {
      this.stopping = undefined;
    });
    this.set('stopped');
    return this.stopping;
  }

  // lost is called for a server that is gone, also for one that was asked to end.
  private lost(was: Server<C>): void {
    if (this.running !== was) {
      return;
    }
    this.running = undefined;
    this.begin(() => this.comeBack(was)).catch(() => undefined); // it was told
    this.set('starting');
  }

  private async comeBack(was: Server<C>): Promise<C> {
    const how = await was.bury();
    this.duties.lost(how);
    if (this.closed || this.restarts.allow()) {
      return this.startAfterStop();
    }
    this.set('failed');
    throw new ToldError(this.duties.gaveUp(how));
  }

  private set(state: ServerState): void {
    if (this.current !== state) {
      this.current = state;
      this.duties.changed(state);
    }
  }
}
