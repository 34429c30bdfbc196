/**
 * The programs themselves, run here: what they say of a directory that is at two paths, of which inotify knows one.
 * A link on the way to it makes two paths as a bind mount does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { type Helper, startHelper } from '../../../src/watch/helper.js';
import type { Message } from '../../../src/watch/messages.js';
import { duplexPair } from '../../support/duplex.js';

let place: string;
let told: Message[];
let children: ChildProcess[];
let helper: Helper | null;

beforeEach(async () => {
  place = await mkdtemp(join(tmpdir(), 'remora-watch-'));
  [told, children, helper] = [[], [], null];
});
afterEach(async () => {
  helper?.end();
  for (const child of children) child.kill('SIGKILL');
  await rm(place, { recursive: true });
});

const events = { told: (message: Message) => void told.push(message), ended: () => undefined };

/** Who was told of changes of this name, in order. */
const toldOf = (name: string) =>
  told.flatMap((message) => (message.kind === 'changed' && message.change.name === name ? [message.id] : []));

const watched = () => told.flatMap((message) => (message.kind === 'watched' ? [message.id] : []));

describe('a directory at two paths', () => {
  it('is told of at both by the script, until the last of them goes', async () => {
    helper = await startHelper(async (command) => {
      const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      return Duplex.from({ readable: child.stdout, writable: child.stdin });
    }, events);
    expect(helper.program).toBe('python3');
    await mkdir(join(place, 'd'));
    await symlink('.', join(place, 'way'));
    helper.add(1, ascii(join(place, 'd')));
    helper.add(2, ascii(join(place, 'way', 'd')));
    await expect.poll(watched).toEqual([1, 2]);
    await writeFile(join(place, 'd', 'both'), '');
    await expect.poll(() => new Set(toldOf('both'))).toEqual(new Set([1, 2]));
    helper.remove(1);
    helper.ask(3);
    await expect.poll(() => told.at(-1)).toEqual({ kind: 'answer', id: 3 });
    await writeFile(join(place, 'd', 'one'), '');
    await expect.poll(() => new Set(toldOf('one'))).toEqual(new Set([2]));
    helper.remove(2);
    helper.ask(4);
    await expect.poll(() => told.at(-1)).toEqual({ kind: 'answer', id: 4 });
    await writeFile(join(place, 'd', 'none'), '');
    helper.ask(5);
    await expect.poll(() => told.at(-1)).toEqual({ kind: 'answer', id: 5 });
    expect(toldOf('none')).toEqual([]);
  });

  it('is told of at both by inotifywait, which names one', async () => {
    const greetings = ['remora-watch 1 inotifywait\n', 'remora-watch 1 inotifywait\n'];
    const streams: Duplex[] = [];
    helper = await startHelper(async () => {
      const [ours, theirs] = duplexPair();
      theirs.write(greetings.pop());
      streams.push(theirs);
      return ours;
    }, events);
    helper.add(1, ascii('/srv/d'));
    helper.add(2, ascii('/srv/e'));
    helper.add(3, ascii('/srv/way/d'));
    await expect.poll(() => streams.length).toBe(2);
    streams[1]?.write('= ef53 64:12\n= ef53 64:13\n= ef53 64:12\nWatches established.\n');
    await expect.poll(watched).toEqual([1, 2, 3]);
    streams[1]?.write('CREATE|/srv/d/|both\nCREATE|/srv/e/|other\nCREATE|/srv/way/d/|too\n');
    await expect.poll(() => toldOf('too')).toEqual([1, 3]);
    expect([toldOf('both'), toldOf('other')]).toEqual([[1, 3], [2]]);
  });
});
