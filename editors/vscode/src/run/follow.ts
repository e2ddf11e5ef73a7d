// Follows a command to its end, also where servers end before it: the command goes on in its
// sandbox, and the next server takes both up again.
import type { ExecResult } from '../protocol';
import { CutOffError } from '../protocol';
import type { Known } from './resumed';
import { resumed } from './resumed';

export interface Following {
  session: string;
  execId: string;
  // first starts the command; again takes its output up where it was cut off.
  first: () => Promise<ExecResult>;
  again: () => Promise<ExecResult>;
  // cutOff is called when the server is gone, goesOn when the next one has the command.
  cutOff: () => void;
  goesOn: () => void;
}

// follow gives the command's result; it fails as the request did where no server comes back
// with the command.
export async function follow(glue: Known, f: Following): Promise<ExecResult> {
  let next = f.first;
  for (;;) {
    try {
      return await next();
    } catch (error) {
      if (!(error instanceof CutOffError)) {
        throw error;
      }
      f.cutOff();
      if (!(await resumed(glue, f.session, f.execId))) {
        throw error;
      }
    }
    f.goesOn();
    next = f.again;
  }
}
