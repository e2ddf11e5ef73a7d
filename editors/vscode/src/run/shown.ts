// How much of one command's output the channel holds: its beginning and its last lines. A
// document without end would block the window; the whole output is in the command's log.
const headChars = 4 << 20;
const tailChars = 64 << 10;

export class Shown {
  private head = 0;
  private tail = '';
  private dropped = 0;

  // push gives what of a piece is shown now.
  push(text: string): string {
    const room = Math.max(0, headChars - this.head);
    const now = text.slice(0, room);
    this.head += now.length;
    const rest = this.tail + text.slice(room);
    const cut = Math.max(0, rest.length - tailChars);
    this.dropped += cut;
    this.tail = rest.slice(cut);
    return now;
  }

  // isCut reports whether something is missing in the channel.
  get isCut(): boolean {
    return this.dropped > 0;
  }

  // end gives what was held back, with a line in the place of what is missing.
  end(): string {
    if (this.tail === '') {
      return '';
    }
    const gap = this.isCut
      ? `\n[${(this.dropped / (1 << 20)).toFixed(1)} MiB are left out here; the whole output is in the log]\n`
      : '';
    const text = gap + this.tail;
    this.tail = '';
    return text;
  }
}
