import { inWorld } from '../driver/world';
import { tellStory } from './story';

const noCamera = async (): Promise<void> => undefined;

describe('a person who runs a test, looks, takes the changes, leaves and comes back', () => {
  it('with sandboxes on this machine', () =>
    inWorld({}, ({ vscode, gate }) => tellStory(vscode, gate, noCamera)));
  it('with sandboxes in Modal', () =>
    inWorld({ inModal: true }, ({ vscode, gate }) => tellStory(vscode, gate, noCamera)));
});
