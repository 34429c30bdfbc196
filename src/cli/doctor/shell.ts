/** Commands that a person may paste into a shell: words are quoted where it would misread them. */
import { quoted } from '../../base/shell.js';

export interface Login {
  readonly user: string;
  readonly host: string;
  readonly port: number;
  /** Words before the destination that `ssh` and `ssh-copy-id` both take, unquoted: `-F`, `-o`. */
  readonly words: readonly string[];
}

/** `ssh -p 2222 bob@host`, or the same for another program of the family; `options` stand as they are. */
export function loginCommand({ user, host, port, words }: Login, program = 'ssh', options = ''): string {
  const portFlag = port === 22 ? [] : ['-p', String(port)];
  const before = [...portFlag, ...words].map(quoted);
  return `${[program, ...before].join(' ')}${options} ${quoted(`${user}@${host}`)}`;
}
