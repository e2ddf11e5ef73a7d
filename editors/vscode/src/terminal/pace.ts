// A pseudoterminal has no flow control: all that is written to it is queued in the
// window, which stands still meanwhile. Pacer hands output over in small pieces with
// pauses, so that a key is answered while a command floods the terminal, and reports
// what was shown, so that the command is held back instead of the output piling up.
export class Pacer {
  private queue: Piece[] = [];
  private timer: NodeJS.Timeout | undefined;
  private idle: (() => void)[] = [];

  constructor(
    private readonly show: (text: string) => void,
    private readonly shown: (bytes: number) => void,
    private readonly step = { bytes: 64 * 1024, everyMs: 25 },
  ) {}

  // Takes a piece of output; bytes is its size before it was decoded.
  push(text: string, bytes: number): void {
    this.queue.push({ text, bytes });
    if (this.timer === undefined) this.hand();
  }

  // Resolves when everything that was pushed until now is shown.
  drained(): Promise<void> {
    if (this.queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  // Forgets what was not shown.
  dispose(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.queue = [];
    this.settle();
  }

  private hand(): void {
    this.timer = undefined;
    let bytes = 0;
    const texts: string[] = [];
    for (let next = this.queue[0]; next !== undefined; next = this.queue[0]) {
      if (bytes > 0 && bytes + next.bytes > this.step.bytes) break;
      this.queue.shift();
      bytes += next.bytes;
      texts.push(next.text);
    }
    if (texts.length > 0) this.show(texts.join(''));
    if (bytes > 0) this.shown(bytes);
    if (this.queue.length === 0) this.settle();
    // Also after the last piece: the next one may come at once.
    if (bytes > 0)
      this.timer = setTimeout(() => {
        this.next();
      }, this.step.everyMs);
  }

  private next(): void {
    this.timer = undefined;
    if (this.queue.length > 0) this.hand();
  }

  private settle(): void {
    const waiting = this.idle;
    this.idle = [];
    for (const resolve of waiting) resolve();
  }
}

interface Piece {
  text: string;
  bytes: number;
}
