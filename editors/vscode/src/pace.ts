// Nothing that an extension writes to has flow control: what an output channel or a terminal
// is given is queued in the window, which stands still meanwhile. Pacer hands output over in
// small pieces with pauses, so that a key is answered while a command floods the window, and
// reports what was shown: the server holds the command back until it hears of it.
export class Pacer {
  private waiting: Piece[] = [];
  private budget: number;
  private timer: NodeJS.Timeout | undefined;
  private idle: (() => void)[] = [];

  constructor(
    private readonly show: (text: string) => void,
    private readonly shown: (bytes: number) => void,
    private readonly step = { chars: 64 * 1024, everyMs: 25 },
  ) {
    this.budget = step.chars;
  }

  // push takes a piece of output; bytes is its size before it was decoded.
  push(text: string, bytes: number): void {
    this.waiting.push({ text, bytes });
    this.hand();
  }

  // drained resolves when everything that was pushed until now is shown.
  drained(): Promise<void> {
    if (this.waiting.length === 0) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.idle.push(resolve);
    });
  }

  // dispose forgets what was not shown.
  dispose(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.waiting = [];
    this.settle();
  }

  // hand shows what the budget allows. A piece is never cut, and one of which nothing is
  // shown costs the window nothing.
  private hand(): void {
    let text = '';
    let bytes = 0;
    for (let p = this.waiting[0]; p !== undefined && this.budget > 0; p = this.waiting[0]) {
      this.waiting.shift();
      this.budget -= p.text.length;
      text += p.text;
      bytes += p.bytes;
    }
    if (text !== '') {
      this.show(text);
    }
    if (bytes > 0) {
      this.shown(bytes);
    }
    if (this.waiting.length === 0) {
      this.settle();
    }
    if (this.budget < this.step.chars) {
      this.timer ??= setTimeout(() => {
        this.tick();
      }, this.step.everyMs);
    }
  }

  private tick(): void {
    this.timer = undefined;
    this.budget = Math.min(this.step.chars, this.budget + this.step.chars);
    this.hand();
  }

  private settle(): void {
    const idle = this.idle;
    this.idle = [];
    for (const resolve of idle) {
      resolve();
    }
  }
}

interface Piece {
  text: string;
  bytes: number;
}
