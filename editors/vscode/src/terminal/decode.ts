import type { Payload } from '../protocol';

// Makes text of a command's output. Bytes that are no UTF-8 come in base64 and are shown
// as replacement characters; one of their characters may go on in the next piece.
export class OutputDecoder {
  private decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  // Gives a piece's text and its size in bytes, as acknowledgements count it.
  decode(piece: Payload): { text: string; bytes: number } {
    if (piece.encoding === 'base64') {
      const raw = Buffer.from(piece.data, 'base64');
      return { text: this.decoder.decode(raw, { stream: true }), bytes: raw.length };
    }
    return {
      text: this.decoder.decode() + piece.data,
      bytes: Buffer.byteLength(piece.data, 'utf8'),
    };
  }

  // Gives what is left of a character that never ended.
  end(): string {
    return this.decoder.decode();
  }
}
