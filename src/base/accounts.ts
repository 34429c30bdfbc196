/** Lines of passwd(5) and group(5), as the files hold them and getent(1) prints them: names and their numbers. */
import { type ByteString, bytesOf } from './bytes.js';

export interface Account {
  readonly name: ByteString;
  readonly id: number;
}

/** Both kinds of line begin with `name:password:id:`; what has another form is left out. */
export function parseAccounts(text: Uint8Array): readonly Account[] {
  const accounts: Account[] = [];
  for (const line of bytesOf(text).split('\n')) {
    const [name, , id] = line.split(':');
    if (name && id && /^[0-9]{1,10}$/.test(id)) accounts.push({ name: name as ByteString, id: Number(id) });
  }
  return accounts;
}
