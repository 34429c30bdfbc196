/**
 * The guided tour of `remora demo`: a few things that people do with a mount, each said, done and checked
 * against the server's own disk. The tour knows two directories and a way to speak; who serves them is the
 * caller's business. All file access is asynchronous, because the server runs in the same process.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Size of the file that is copied in and out, in bytes. */
const COPY_SIZE = 8 * 1024 * 1024;

export interface TourContext {
  /** The mounted directory. */
  readonly mount: string;
  /** The same directory on the server's disk. */
  readonly disk: string;
  /** A local directory for files on their way in and out. */
  readonly local: string;
  readonly say: (line: string) => void;
}

/** What the server has before the tour begins. */
export async function prepareDisk(disk: string): Promise<void> {
  await mkdir(join(disk, 'letters'));
  await writeFile(join(disk, 'hello.txt'), 'Hello from the other side of the connection.\n');
  await writeFile(join(disk, 'letters', 'one.txt'), 'first\n');
  await writeFile(join(disk, 'letters', 'two.txt'), 'second\n');
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function check(right: boolean, what: string): void {
  if (!right) throw new Error(`${what}: the mount and the server's disk differ`);
}

type Step = (context: TourContext) => Promise<void>;

const listing: Step = async ({ mount, disk, say }) => {
  const names = (await readdir(mount)).sort();
  check(names.join('/') === (await readdir(disk)).sort().join('/'), 'the listing');
  say(`ls            ${names.join('  ')}`);
};

const reading: Step = async ({ mount, say }) => {
  const text = await readFile(join(mount, 'hello.txt'), 'utf8');
  say(`cat           ${text.trimEnd()}`);
};

const writing: Step = async ({ mount, disk, say }) => {
  const text = 'Written through the mount.\n';
  await writeFile(join(mount, 'note.txt'), text);
  check((await readFile(join(disk, 'note.txt'), 'utf8')) === text, 'the written file');
  say(`write         note.txt: ${text.length} bytes, on the server when close(2) returned`);
};

const renaming: Step = async ({ mount, disk, say }) => {
  await rename(join(mount, 'note.txt'), join(mount, 'letters', 'three.txt'));
  check((await readdir(join(disk, 'letters'))).includes('three.txt'), 'the renamed file');
  say('mv            note.txt -> letters/three.txt');
};

const linking: Step = async ({ mount, disk, say }) => {
  await symlink('letters/three.txt', join(mount, 'latest'));
  check((await readlink(join(disk, 'latest'))) === 'letters/three.txt', 'the link');
  const { size } = await stat(join(mount, 'latest'));
  say(`ln -s         latest -> letters/three.txt, ${size} bytes behind it`);
};

const copying: Step = async ({ mount, disk, local, say }) => {
  const original = join(local, 'original');
  const back = join(local, 'back');
  await writeFile(original, randomBytes(COPY_SIZE));
  const wanted = await sha256(original);
  const begin = performance.now();
  await copyFile(original, join(mount, 'big.bin'));
  const middle = performance.now();
  check((await sha256(join(disk, 'big.bin'))) === wanted, 'the copy on the server');
  const start = performance.now();
  await copyFile(join(mount, 'big.bin'), back);
  const end = performance.now();
  check((await sha256(back)) === wanted, 'the copy that came back');
  const rate = (milliseconds: number) => `${Math.round(COPY_SIZE / 1000 / milliseconds)} MB/s`;
  say(`cp            8 MiB in at ${rate(middle - begin)}, out at ${rate(end - start)}`);
  say(`sha256sum     the same on all three sides: ${wanted.slice(0, 16)}...`);
};

/** Runs every step in order; rejects at the first that fails. */
export async function runTour(context: TourContext): Promise<void> {
  for (const step of [listing, reading, writing, renaming, linking, copying]) await step(context);
}
