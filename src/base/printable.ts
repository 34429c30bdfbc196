/** Text from a server on its way to a terminal: no escape sequences, and no more than a screenful. */
import { CONTROL } from './control.js';

const LONGEST = 4096;

/** `text` without control characters; line ends are kept when `multiline`. */
export function printable(text: string, multiline = false): string {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  const kept = multiline ? short.replace(/\r\n?/g, '\n') : short;
  return kept.replace(CONTROL, (char) => (char === '\t' || (multiline && char === '\n') ? char : '?'));
}
