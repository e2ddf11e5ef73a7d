// The texts of a merge: what can be merged as text at all, and what was typed meanwhile.
import { merge3 } from './markers';

// textOf decodes UTF-8 without its byte order mark; undefined for what is no text.
export function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined || bytes.includes(0)) {
    return undefined;
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function hasMark(bytes: Uint8Array): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

// isUniform tells whether all lines end alike. An editor makes them so: of another text it
// would return more than the person merged.
export function isUniform(text: string): boolean {
  const withoutPairs = text.replace(/\r\n/g, '');
  const hasPairs = withoutPairs.length < text.length;
  return !withoutPairs.includes('\r') && !(hasPairs && withoutPairs.includes('\n'));
}

export function withLF(text: string): string {
  return text.replace(/\r\n/g, '\n');
}

export function lineEndOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

// withChange brings into a merge what became of one of its sides since it began;
// undefined where both changed the same lines.
export function withChange(merged: string, began: string, now: string): string | undefined {
  if (withLF(now) === withLF(began)) {
    return merged;
  }
  const parts = merge3(withLF(began), withLF(now), withLF(merged));
  const lines = parts.flatMap((part) => ('lines' in part ? part.lines : []));
  return parts.some((part) => !('lines' in part))
    ? undefined
    : lines.join('').replace(/\n/g, lineEndOf(merged));
}
