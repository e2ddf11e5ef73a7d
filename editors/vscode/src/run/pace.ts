// Shows output no faster than the window can take it. What waits is bounded by the server,
// which holds the command back until the client acknowledges what it showed.
export interface Clock {
  after: (ms: number, then: () => void) => void;
}

const pieceChars = 64 * 1024;
const everyMs = 25;

interface Piece {
  text: string;
  bytes: number;
}

export class Pacer {
  private readonly waiting: Piece[] = [];
  private ticking = false;
  private budget = pieceChars;
  private idle: (() => void)[] = [];

  constructor(
    private readonly show: (text: string) => void,
    private readonly shown: (bytes: number) => void,
    private readonly clock: Clock,
  ) {}

  push(text: string, bytes: number): void {
    this.waiting.push({ text, bytes });
    this.drain();
  }

  // finished resolves when everything that was pushed is shown.
  finished(): Promise<void> {
    if (this.waiting.length === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.idle.push(resolve);
    });
  }

  private drain(): void {
    let text = '';
    let bytes = 0;
    for (let p = this.waiting[0]; p !== undefined && this.budget > 0; p = this.waiting[0]) {
      this.waiting.shift();
      this.budget -= p.text.length; // what is not shown costs the window nothing
      text += p.text;
      bytes += p.bytes;
    }
    if (bytes > 0) {
      if (text !== '') {
        this.show(text);
      }
      this.shown(bytes);
      this.tick();
    }
    if (this.waiting.length === 0) {
      const idle = this.idle;
      this.idle = [];
      for (const resolve of idle) {
        resolve();
      }
    }
  }

  // Each tick gives the next budget, until one passes in which nothing was shown.
  private tick(): void {
    if (this.ticking) {
      return;
    }
    this.ticking = true;
    this.clock.after(everyMs, () => {
      this.ticking = false;
      this.budget = Math.min(pieceChars, this.budget + pieceChars);
      if (this.waiting.length > 0) {
        this.drain();
      } else if (this.budget < pieceChars) {
        this.tick();
      }
    });
  }
}
