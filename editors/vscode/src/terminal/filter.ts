// What a sandbox prints is hostile. Most escape sequences only paint, and replies to
// queries go back into the sandbox as input; but xterm.js, as VS Code sets it up, also
// gives and takes the clipboard (OSC 52), believes what claims to be shell integration
// (OSC 133, 633, 1337) and working directories (OSC 7, 9), and opens links (OSC 8).
//
// TerminalFilter lets through what stays in the terminal: text, CSI and plain escapes,
// and of the control strings those in the lists below. It keeps its state between
// pieces, because a sequence can be split over two of them.
export class TerminalFilter {
  private state: State = 'text';
  private kind: StringKind = 'osc';
  private held = '';
  private tooLong = false;

  // Gives the piece without what reaches out of the terminal.
  filter(piece: string): string {
    const out: string[] = [];
    let from = 0; // of the plain text that was not copied yet
    for (let i = 0; i < piece.length; i++) {
      const c = piece.charCodeAt(i);
      switch (this.state) {
        case 'text':
          if (c === ESC) {
            out.push(piece.slice(from, i));
            this.state = 'escape';
          } else if (c >= 0x80 && c <= 0x9f) {
            out.push(piece.slice(from, i));
            from = i + 1;
            const kind = STRINGS.get(c - 0x40);
            if (kind !== undefined) this.begin(kind);
            else out.push('\x1b' + String.fromCharCode(c - 0x40)); // the 7-bit form of the same
          } else if (c === BOM) {
            out.push(piece.slice(from, i));
            from = i + 1;
          }
          break;
        case 'escape': {
          const kind = STRINGS.get(c);
          if (kind !== undefined) {
            this.begin(kind);
          } else if (c === ESC || c === DEL || c === BOM) {
            // The terminal passes over these, and the escape goes on.
          } else if (c < 0x20 && c !== CAN && c !== SUB) {
            out.push(piece.charAt(i)); // it acts at once, and the escape goes on
          } else {
            // Only what can follow an escape keeps it: the terminal forgets it at the others.
            if (c >= 0x20 && c < DEL) out.push('\x1b');
            from = i;
            this.state = 'text';
            i--; // it may be a control itself
          }
          break;
        }
        case 'string':
          if (c === BEL && this.kind === 'osc') {
            out.push(this.end('\x07'));
            from = i + 1;
          } else if (c === ST) {
            out.push(this.end('\x1b\\'));
            from = i + 1;
          } else if (c === CAN || c === SUB) {
            this.state = 'text';
            from = i + 1;
          } else if (c === ESC) {
            this.state = 'stringEscape';
          } else if (c === BOM) {
            // The terminal does not see it.
          } else if (this.held.length >= MAX_STRING) {
            this.tooLong = true;
          } else {
            this.held += piece.charAt(i);
          }
          break;
        case 'stringEscape':
          if (c === BOM) {
            // The terminal does not see it.
          } else if (c === BACKSLASH) {
            out.push(this.end('\x1b\\'));
            from = i + 1;
          } else {
            // Any other escape ends the string without carrying it out.
            this.state = 'escape';
            i--;
          }
          break;
      }
    }
    if (this.state === 'text') out.push(piece.slice(from));
    return out.join('');
  }

  private begin(kind: StringKind): void {
    this.state = 'string';
    this.kind = kind;
    this.held = '';
    this.tooLong = false;
  }

  private end(terminator: string): string {
    this.state = 'text';
    if (this.tooLong) return '';
    // Other controls have no place in a string.
    // eslint-disable-next-line no-control-regex
    if (/[\x00-\x1f\x7f-\x9f]/.test(this.held)) return '';
    if (this.kind === 'osc' && allowedOsc(this.held)) return `\x1b]${this.held}${terminator}`;
    if (this.kind === 'dcs' && /^[$+]q/.test(this.held)) return `\x1bP${this.held}${terminator}`;
    return '';
  }
}

type State = 'text' | 'escape' | 'string' | 'stringEscape';
type StringKind = 'osc' | 'dcs' | 'other';

const BEL = 0x07;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
const BACKSLASH = 0x5c;
const DEL = 0x7f;
const ST = 0x9c;
const BOM = 0xfeff; // xterm.js drops it wherever it is, also inside a sequence

// What begins a control string, by the character after ESC (ECMA-48, 5.6 and 8.3).
const STRINGS = new Map<number, StringKind>([
  [0x5d, 'osc'],
  [0x50, 'dcs'],
  [0x58, 'other'], // SOS
  [0x5e, 'other'], // PM
  [0x5f, 'other'], // APC
]);

// The longest control string that is passed on, in UTF-16 units.
const MAX_STRING = 4096;

// Titles and colours; a link is looked at more closely.
const PLAIN_OSC = new Set(['0', '1', '2', '4', '10', '11', '12', '104', '110', '111', '112']);

function allowedOsc(body: string): boolean {
  const semicolon = body.indexOf(';');
  const code = semicolon < 0 ? body : body.slice(0, semicolon);
  if (PLAIN_OSC.has(code)) return true;
  if (code !== '8') return false;
  const target = body.split(';').slice(2).join(';');
  return target === '' || /^https?:\/\//i.test(target);
}
