// Keeps the server's settings those of the window.
import type { Settings } from './split';

export class ToldSettings {
  private told = '';

  constructor(private readonly read: () => Settings) {}

  // first gives the settings that a server starts with.
  first(): Settings {
    return this.note(this.read());
  }

  // news gives the settings where they are others than those that the server knows: also
  // when they changed, or the folder was trusted, while it was starting.
  news(): Settings | undefined {
    const now = this.read();
    return JSON.stringify(now) === this.told ? undefined : this.note(now);
  }

  private note(settings: Settings): Settings {
    this.told = JSON.stringify(settings);
    return settings;
  }
}
