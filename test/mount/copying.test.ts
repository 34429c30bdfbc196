/** Copies within the mount, on a real sshd: on the server no byte of them passes the link, and without copy-data all do. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../support/packages.js';
import { type Mounted, Remora } from '../support/remora.js';
import { must } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';

const SIZE = 12 * 2 ** 20;
/** Requests and answers about a copy, and nothing of its content. */
const TALK = 64 * 1024;

let scope: Scope;
let remora: Remora;
let sshd: Sshd;
let disk: string;
let content: Buffer;

beforeAll(async () => {
  scope = await Scope.open('copying');
  remora = await Remora.create(scope);
  sshd = await Sshd.start(scope);
  disk = await scope.makeDirectory('disk');
  content = randomBytes(SIZE);
  await writeFile(join(disk, 'original'), content);
});
afterEach(() => remora.discard());
afterAll(() => scope.close());

/** What the tests look at of `status --json`. */
interface Status {
  readonly traffic: { readonly received: number; readonly sent: number };
  readonly calls: Readonly<Record<string, { readonly count: number }>>;
}

async function statusOf(mounted: Mounted): Promise<Status> {
  const { code, stdout } = await remora.run(['status', mounted.directory, '--json']);
  expect(code).toBe(0);
  return JSON.parse(stdout) as Status;
}

/** Bytes that passed the link meanwhile, and how often the kernel asked for a copy. */
async function costOf(mounted: Mounted, work: () => Promise<unknown>) {
  const before = await statusOf(mounted);
  await work();
  const after = await statusOf(mounted);
  const bytesOf = ({ traffic }: Status) => traffic.received + traffic.sent;
  const askedOf = ({ calls }: Status) => calls.COPY_FILE_RANGE?.count ?? 0;
  return { bytes: bytesOf(after) - bytesOf(before), asked: askedOf(after) - askedOf(before) };
}

describe('a server that copies by itself', () => {
  it.each([
    ['cp', ['cp', 'original', 'copy']],
    ['cp --reflink=auto', ['cp', '--reflink=auto', 'original', 'copy']],
    ['mv', ['sh', '-c', 'cp original moved; mv moved copy']],
  ])('moves no byte over the link for %s', async (_, [program = '', ...args]) => {
    const mounted = await remora.mount(sshd, disk);
    await writeFile(join(mounted.directory, 'copy'), 'there before');
    const { bytes } = await costOf(mounted, () => must(program, args, { cwd: mounted.directory }));
    expect(bytes).toBeLessThan(TALK);
    expect((await readFile(join(disk, 'copy'))).equals(content)).toBe(true);
    // Nothing of the file that was there before.
    expect((await readFile(join(mounted.directory, 'copy'))).equals(content)).toBe(true);
    await mounted.unmount();
  });
});

describe('a server that does not', () => {
  it('is asked once, and the copy goes through this machine', async () => {
    const sftp = `${await programPath('sftp-server')} -P copy-data`;
    const mounted = await remora.mount(await Sshd.start(scope, { sftp }), disk);
    const { bytes, asked } = await costOf(mounted, async () => {
      await must('cp', ['original', 'copy'], { cwd: mounted.directory });
      await must('cp', ['original', 'another'], { cwd: mounted.directory });
    });
    expect(asked).toBe(1);
    expect(bytes).toBeGreaterThan(2 * SIZE);
    for (const name of ['copy', 'another']) {
      expect((await readFile(join(disk, name))).equals(content)).toBe(true);
    }
    await mounted.unmount();
  });
});
