/**
 * `uidfile` and `gidfile`: lines `NAME:ID`, a name of this machine and the number that its owner has on the server.
 * Empty lines and lines that begin with `#` are skipped.
 */
import { OptionError } from './errors.js';

export interface IdLine {
  readonly name: string;
  readonly id: number;
}

const MAX_ID = 2 ** 32 - 2;

/** `file` is for the message. @throws OptionError for a line of another form */
export function parseIdFile(text: string, file: string): readonly IdLine[] {
  return text.split('\n').flatMap((line, at) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const [, name = '', digits = ''] = /^([^:]+):\s*(\d{1,10})$/.exec(trimmed) ?? [];
    const id = Number(digits);
    if (name === '' || id > MAX_ID) {
      throw new OptionError(`${file}, line ${at + 1}: it is NAME:ID, with the number on the server`);
    }
    return [{ name: name.trim(), id }];
  });
}
