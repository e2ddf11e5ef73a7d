import { Gate } from './gate';
import { Machine, type MachineOptions } from './machine';
import { Modal } from './modal';
import { shop } from './shop';
import { VSCode } from './vscode';

export interface World {
  vscode: VSCode;
  machine: Machine;
  gate: Gate;
}

export interface WorldOptions extends MachineOptions {
  /** Sandboxes are in Modal, that is in its emulator. */
  inModal?: boolean;
}

/**
 * Gives a test a machine with the shop on it and VS Code running, and ends all of it. After
 * a test that passed, nothing may be left running anywhere.
 */
export async function inWorld(
  options: WorldOptions,
  test: (world: World) => Promise<void>,
): Promise<void> {
  const gate = await Gate.start();
  const modal = options.inModal ? await Modal.start() : undefined;
  const machine = new Machine({ ...shop(gate.port), ...(modal && { modal }), ...options });
  try {
    const vscode = await VSCode.start(machine);
    try {
      await test({ vscode, machine, gate }).catch((why: unknown) => vscode.explain(why));
      await machine.nothingLeft();
    } finally {
      await vscode.stop();
    }
  } finally {
    machine.remove();
    await modal?.stop();
    await gate.stop();
  }
}
