import { runInside } from '../driver/inside';
import type { MachineOptions } from '../driver/machine';
import { Modal } from '../driver/modal';
import { shop } from '../driver/shop';

/** Which specs run in the extension host, and where their sandboxes are. */
const specs: { spec: string; modal?: boolean; machine?: MachineOptions }[] = [
  { spec: 'running' },
  { spec: 'running', modal: true },
  { spec: 'reviewing' },
  { spec: 'reviewing', modal: true },
  { spec: 'edits' },
  { spec: 'conflicts' },
  { spec: 'terminal' },
];

describe('in the extension host', () => {
  for (const { spec, modal, machine } of specs) {
    it(`${spec}, sandboxes ${modal ? 'in Modal' : 'on this machine'}`, async () => {
      const cloud = modal ? await Modal.start() : undefined;
      try {
        const outcomes = await runInside(spec, {
          ...shop(9),
          ...machine,
          ...(cloud && { modal: cloud }),
        });
        for (const one of outcomes) console.log(`        ${one.title} (${one.ms} ms)`);
      } finally {
        await cloud?.stop();
      }
    });
  }
});
