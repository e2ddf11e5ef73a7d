import * as fs from 'node:fs';
import * as path from 'node:path';
import Mocha from 'mocha';

export interface Outcome {
  title: string;
  failure?: string;
  ms: number;
}

/**
 * VS Code calls this in its extension host. The spec that GLUE_TEST_SPEC names runs there,
 * and what came of it goes into the file GLUE_TEST_OUTCOMES.
 */
export async function run(): Promise<void> {
  const spec = required('GLUE_TEST_SPEC');
  const outcomes: Outcome[] = [];
  const mocha = new Mocha({ timeout: 90_000, reporter: Quiet });
  mocha.addFile(path.join(__dirname, `${spec}.spec.js`));
  const failures = await new Promise<number>((resolve) => {
    const runner = mocha.run(resolve);
    runner.on('pass', (test) => outcomes.push({ title: test.title, ms: test.duration ?? 0 }));
    runner.on('fail', (test, error: Error) => {
      outcomes.push({
        title: test.title,
        failure: error.stack ?? String(error),
        ms: test.duration ?? 0,
      });
    });
  });
  fs.writeFileSync(required('GLUE_TEST_OUTCOMES'), JSON.stringify(outcomes));
  if (failures > 0) throw new Error(`${failures} failed`);
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

// The window has nowhere to print to.
class Quiet extends Mocha.reporters.Base {}
