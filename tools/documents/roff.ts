/** Pages of man(7): each function answers lines of roff for plain text. */

/** `text` as it shall be seen: nothing in it is a request or an escape. */
export function plain(text: string): string {
  const escaped = text.replace(/[\\\-'`^~]|[^ -~]/gu, (char) => ESCAPES[char] ?? `\\[u${hex(char)}]`);
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped;
}

const hex = (char: string) => (char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\e',
  '-': '\\-',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

export const bold = (text: string) => `\\fB${plain(text)}\\fP`;

/** Words between backquotes are bold. */
export function prose(text: string): string {
  const parts = text.split('`').map((part, index) => (index % 2 === 1 ? bold(part) : inner(part)));
  const line = parts.join('');
  return /^[.']/.test(line) ? `\\&${line}` : line;
}

const inner = (text: string) => plain(text).replace(/^\\&(?=\.)/, '');

export const section = (title: string) => `.SH ${title.toUpperCase()}`;
export const subsection = (title: string) => `.SS "${title}"`;
export const paragraph = (text: string) => `.PP\n${prose(text)}`;
export const item = (term: string, text: string) => `.TP\n${term}\n${text}`;
export const example = (lines: readonly string[]) =>
  ['.PP', '.RS 4', '.nf', ...lines.map(plain), '.fi', '.RE'].join('\n');
