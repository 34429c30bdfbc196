/**
 * Runs cases as the user that this process was started as, each in a directory of its own. A message
 * `{ name, dir, disk }` is answered with `{ name, error }`: null, or what went wrong. A case that hangs hangs
 * this process and no other.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { posixSuite } from './suite.js';

interface Order {
  readonly name: string;
  readonly dir: string;
  readonly disk: string;
}

let count = 0;

async function perform({ name, dir, disk }: Order): Promise<string | null> {
  const run = posixSuite[name];
  if (run === undefined) return `there is no case called ${name}`;
  const own = `case-${process.pid}-${++count}`;
  try {
    await mkdir(join(dir, own));
    await run(join(dir, own), join(disk, own));
    return null;
  } catch (error) {
    const { code, message, stack } = error as NodeJS.ErrnoException;
    const place = /(\w+\.[jt]s:\d+):\d+\)?$/m.exec(
      (stack ?? '').split('\n').filter((line) => /posix\/(?!kit)/.test(line))[0] ?? '',
    )?.[1];
    return `${message}${code && !message.includes(code) ? ` [${code}]` : ''}${place ? ` (${place})` : ''}`;
  }
}

process.umask(0o022);
process.on('message', (order: Order) => {
  void perform(order).then((error) => process.send?.({ name: order.name, error }));
});
process.on('disconnect', () => process.exit(0));
