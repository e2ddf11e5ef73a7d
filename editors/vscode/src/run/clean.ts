// Makes a command's output plain text. A sandbox's output may hold anything: escape
// sequences, control characters, marks that turn text around. Nothing of that reaches the
// output channel, and nothing can hide what follows it for longer than one line.

const longestSequence = 1 << 20;
const longestLine = 16 * 1024;

const enum State {
  Ground,
  Escape, // after ESC
  Intermediate, // after ESC and characters such as ( or #
  Sequence, // CSI: parameters until a final character
  String, // OSC, DCS and such: until BEL or ST
  StringEscape, // after ESC in a string
}

// Control characters are kept apart from text by their codes (ECMA-48, section 5).
const esc = 0x1b;
const bel = 0x07;
const lf = 0x0a;
const cr = 0x0d;

export class Cleaner {
  private state = State.Ground;
  private length = 0; // of the sequence that is being skipped
  private column = 0;
  private returned = false; // the last character was a carriage return

  // push takes a piece of output, which may begin and end inside a sequence.
  push(text: string): string {
    let out = '';
    for (const c of text) {
      out += this.next(c, c.codePointAt(0) ?? 0);
    }
    return out;
  }

  // end gives what is needed so that the next output begins on a line of its own.
  end(): string {
    const newline = this.column > 0 ? '\n' : '';
    this.state = State.Ground;
    this.returned = false;
    this.column = 0;
    return newline;
  }

  private next(c: string, code: number): string {
    if (this.state !== State.Ground && !this.skips(code)) {
      return '';
    }
    return this.ground(c, code);
  }

  // skips reports that a sequence is over, and that this character is not part of it.
  private skips(code: number): boolean {
    this.length++;
    // A line's end, CAN and SUB end any sequence, and so does an endless one.
    if (code === lf || code === cr || code === 0x18 || code === 0x1a) {
      this.state = State.Ground;
      return true;
    }
    if (this.length > longestSequence) {
      this.state = State.Ground;
      return false;
    }
    switch (this.state) {
      case State.Escape:
        this.afterEscape(code);
        break;
      case State.Intermediate:
        if (code < 0x20 || code > 0x2f) {
          this.state = code === esc ? State.Escape : State.Ground;
        }
        break;
      case State.Sequence:
        if (code === esc) {
          this.state = State.Escape;
        } else if (code >= 0x40) {
          this.state = State.Ground;
        }
        break;
      case State.String:
        if (code === bel || code === 0x9c) {
          this.state = State.Ground;
        } else if (code === esc) {
          this.state = State.StringEscape;
        }
        break;
      case State.StringEscape:
        if (code === 0x5c) {
          this.state = State.Ground;
        } else {
          this.afterEscape(code);
        }
        break;
      case State.Ground:
        break;
    }
    return false;
  }

  private afterEscape(code: number): void {
    switch (code) {
      case 0x5b: // [
        this.state = State.Sequence;
        break;
      case 0x5d: // ]
      case 0x50: // P
      case 0x58: // X
      case 0x5e: // ^
      case 0x5f: // _
        this.state = State.String;
        break;
      case esc:
        this.state = State.Escape;
        break;
      default:
        this.state = code >= 0x20 && code <= 0x2f ? State.Intermediate : State.Ground;
    }
  }

  private ground(c: string, code: number): string {
    const returned = this.returned;
    this.returned = code === cr;
    switch (code) {
      case cr:
        return this.newline(true);
      case lf:
        return returned ? '' : this.newline(false);
      case 0x0b:
      case 0x0c:
      case 0x2028:
      case 0x2029:
        return this.newline(false);
      case 0x09:
        return this.text(c);
      case esc:
        return this.begin(State.Escape);
      case 0x9b:
        return this.begin(State.Sequence);
      case 0x90:
      case 0x98:
      case 0x9d:
      case 0x9e:
      case 0x9f:
        return this.begin(State.String);
    }
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      return '';
    }
    return this.text(turnsText(code) ? `<U+${code.toString(16).toUpperCase()}>` : c);
  }

  private begin(state: State): string {
    this.state = state;
    this.length = 0;
    return '';
  }

  // A carriage return goes back to the line's beginning, which plain text cannot: what
  // follows is a line of its own. Programs that show progress do not make empty lines.
  private newline(onlyIfText: boolean): string {
    if (onlyIfText && this.column === 0) {
      return '';
    }
    this.column = 0;
    return '\n';
  }

  // Endless lines are cut, because laying them out blocks the window.
  private text(s: string): string {
    if (this.column >= longestLine) {
      this.column = s.length;
      return `\n${s}`;
    }
    this.column += s.length;
    return s;
  }
}

// turnsText tells the characters that show text in another order than it is in.
function turnsText(code: number): boolean {
  return (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

// plainLine makes one short line of text that is shown elsewhere than in a document, such
// as a title. Spaces that are meant can be kept.
export function plainLine(text: string, longest: number, keepSpaces = false): string {
  const line = new Cleaner().push(text);
  const clean = keepSpaces
    ? line.replace(/\s/gu, ' ').trimEnd()
    : line.replace(/\s+/gu, ' ').trim();
  const characters = Array.from(clean);
  return characters.length > longest ? `${characters.slice(0, longest - 1).join('')}…` : clean;
}
