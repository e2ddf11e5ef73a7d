import { Machine } from './driver/machine';
import { VSCode } from './driver/vscode';
import { Gate } from './driver/gate';
import { shop } from './driver/shop';
import * as fs from 'node:fs';

/**
 * Starts VS Code with the extension as it is built, for a person to try: on the folder that
 * is named, or on a small shop. `npm run try -- [folder]`; Ctrl-C ends it.
 */
async function main(): Promise<void> {
  const folder = process.argv[2];
  const gate = await Gate.start();
  gate.open('95');
  const machine = new Machine(shop(gate.port));
  const vscode = await VSCode.start(machine);
  const url = vscode.url(folder ? { folder: fs.realpathSync(folder) } : {});
  console.log(
    JSON.stringify({ url, folder: folder ?? machine.folder, glueHome: machine.glueHome }),
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void Promise.all([vscode.stop(), gate.stop()]).finally(() => {
        machine.remove();
        process.exit(0);
      });
    });
  }
}

void main();
