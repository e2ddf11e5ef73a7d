import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Outcome } from '../inside/index';
import { Machine, type MachineOptions } from './machine';
import * as paths from './paths';
import { VSCode } from './vscode';

/**
 * Runs a spec of test/inside in the extension host of a new window, closes the window, and
 * looks that nothing is left running. It fails with all that failed inside, and tells what
 * passed.
 */
export async function runInside(spec: string, options: MachineOptions): Promise<Outcome[]> {
  const machine = new Machine({
    ...options,
    programs: { 'glue.serverPath': paths.server, ...options.programs },
  });
  const file = path.join(machine.dir, 'outcomes.json');
  machine.setEnvironment({ GLUE_TEST_SPEC: spec, GLUE_TEST_OUTCOMES: file });
  const vscode = await VSCode.startForTests(machine);
  try {
    const window = await vscode.openForTests(path.resolve(__dirname, '..', 'inside', 'index'));
    const code = await window.testsEnded;
    if (!fs.existsSync(file))
      throw new Error(`the tests ended with ${code} and told nothing:\n${window.consoleText()}`);
    const outcomes = JSON.parse(fs.readFileSync(file, 'utf8')) as Outcome[];
    const failures = outcomes.filter((one) => one.failure);
    if (failures.length > 0) {
      throw new Error(failures.map((one) => `${one.title}\n${one.failure}`).join('\n\n'));
    }
    if (outcomes.length === 0) throw new Error(`${spec} has no tests`);
    await window.close();
    await machine.nothingLeft();
    return outcomes;
  } finally {
    await vscode.stop();
    machine.remove();
  }
}
