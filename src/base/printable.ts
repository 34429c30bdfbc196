/** Text from a server on its way to a terminal: no escape sequences, and no more than a screenful. */

const LONGEST = 4096;

/** `text` without control characters; line ends are kept when `multiline`. */
export function printable(text: string, multiline = false): string {
  const short = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  const kept = multiline ? short.replace(/\r\n?/g, '\n') : short;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return kept.replace(/[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (char) =>
    char === '\t' || (multiline && char === '\n') ? char : '?',
  );
}
