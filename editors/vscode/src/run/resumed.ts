// Waits for a command that outlived its server to be known to the next one.
import type { Glue } from '../glue';
import type { Sessions } from '../sessions';

const withinMs = 60_000;

// Known is what a window knows of the server and its sessions.
export type Known = Pick<Glue, 'state' | 'onDidChangeState'> & {
  sessions: Pick<Sessions, 'get' | 'onDidChange'>;
};

// resumed reports whether the command came back: false when the server does not, or its
// sandbox is gone. What was cancelled meanwhile can be ended only then.
export function resumed(glue: Known, session: string, execId: string): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (found: boolean): void => {
      clearTimeout(timer);
      listening.forEach((l) => {
        l.dispose();
      });
      resolve(found);
    };
    const look = (): void => {
      const info = glue.state === 'running' ? glue.sessions.get(session) : undefined;
      if (info?.execs.some((e) => e.execId === execId) === true) {
        finish(true);
      } else if (glue.state === 'failed' || info?.state === 'lost' || info?.state === 'closed') {
        finish(false);
      }
    };
    const timer = setTimeout(() => {
      finish(false);
    }, withinMs);
    const listening = [glue.sessions.onDidChange(look), glue.onDidChangeState(look)];
    look();
  });
}
