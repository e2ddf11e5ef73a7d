// How often a server that ends by itself is started again before a person is asked.
export class Restarts {
  private readonly times: number[] = [];

  constructor(
    private readonly now: () => number,
    private readonly limit = 3,
    private readonly withinMs = 180_000,
  ) {}

  // allow notes an unexpected end and reports whether to start again.
  allow(): boolean {
    const now = this.now();
    while (this.times[0] !== undefined && now - this.times[0] > this.withinMs) {
      this.times.shift();
    }
    this.times.push(now);
    return this.times.length <= this.limit;
  }

  // reset forgets what was, because a person asked for a start.
  reset(): void {
    this.times.length = 0;
  }
}
