/** Locks between processes, and a log that is bounded, never a reason to end, and read on while it is written. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, fstatSync, openSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isJournal, journalLines } from '../../../src/cli/journal.js';
import { FileLock } from '../../../src/cli/lock.js';
import { LogReader } from '../../../src/cli/log.js';
import { LogFile } from '../../../src/cli/log-file.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'remora-files-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('a lock', () => {
  it('is held by one, waited for with a bound, and leaves no file', async () => {
    const path = join(directory, 'lock');
    const first = FileLock.try(path);
    expect(first).not.toBe(null);
    expect(FileLock.try(path)).toBe(null);
    expect(await FileLock.take(path, 50)).toBe(null);
    const waiting = FileLock.take(path, 5000);
    first?.release();
    const second = await waiting;
    expect(second).not.toBe(null);
    expect(FileLock.try(path), 'of the new file, not of the removed one').toBe(null);
    second?.release();
    expect(await readdir(directory)).toEqual([]);
  });

  it('ends with the process that holds it', async () => {
    const path = join(directory, 'lock');
    const holder = spawn('flock', [path, 'sh', '-c', 'echo held; read line'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(holder.stdout, 'data');
    expect(FileLock.try(path)).toBe(null);
    holder.stdin.end();
    const lock = await FileLock.take(path, 5000);
    expect(lock).not.toBe(null);
    lock?.release();
  });
});

describe('the log', () => {
  it('keeps one older generation and never grows beyond its bound', async () => {
    const path = join(directory, 'log');
    const fd = openSync(path, 'a', 0o600);
    const log = new LogFile(fd, path, 100);
    for (let i = 10; i < 60; i++) log.write(`this is line ${i}\n`);
    log.write('x'.repeat(1000));
    const sizes = await Promise.all([path, `${path}.1`].map(async (name) => (await stat(name)).size));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
    expect(await readFile(`${path}.1`, 'utf8')).toMatch(/this is line 59\n$/);
    expect((await stat(`${path}.1`)).mode & 0o077).toBe(0);
    log.removeIfEmpty();
    expect(existsSync(path)).toBe(true);
    closeSync(fd);
  });

  it('counts what was there before, and is removed when it stayed empty', async () => {
    const path = join(directory, 'log');
    const fd = openSync(path, 'a');
    new LogFile(fd, path, 10).write('123456\n');
    new LogFile(fd, path, 10).write('abcdef\n');
    expect(await readFile(path, 'utf8')).toBe('abcdef\n');
    expect(await readFile(`${path}.1`, 'utf8')).toBe('123456\n');
    closeSync(fd);
    const empty = join(directory, 'empty');
    const other = openSync(empty, 'a');
    new LogFile(other, empty).removeIfEmpty();
    expect(existsSync(empty)).toBe(false);
    closeSync(other);
  });

  it('on a full disk loses lines and nothing else', () => {
    const full = openSync('/dev/full', 'a');
    const log = new LogFile(full, join(directory, 'log'), 10);
    for (let i = 0; i < 5; i++) expect(() => log.write('abcdef\n')).not.toThrow();
    closeSync(full);
  });
});

describe('a log that is read on', () => {
  it('is told whole, both generations, and then line by line however often it is full', async () => {
    const path = join(directory, 'log');
    const fd = openSync(path, 'a');
    const log = new LogFile(fd, path, 20);
    const reader = new LogReader(path);
    expect(await reader.all()).toBe(null);
    for (const line of ['one', 'two', 'three', 'four', 'five']) log.write(`${line}\n`);
    expect(await reader.all()).toBe('one\ntwo\nthree\nfour\nfive\n');
    expect(await reader.more()).toBe('');
    for (const line of ['six', 'seven', 'eight', 'nine']) {
      log.write(`${line}\n`);
      expect(await reader.more()).toBe(`${line}\n`);
    }
    // Full between two looks: what was missed is in the older generation.
    for (const line of ['ten', 'eleven']) log.write(`${line}\n`);
    expect(await reader.more()).toBe('ten\neleven\n');
    closeSync(fd);
  });

  it('shows no escape sequence, and no half of a character', async () => {
    const path = join(directory, 'log');
    await writeFile(path, Buffer.from('a\x1b[31mb\tc\n'));
    const reader = new LogReader(path);
    expect(await reader.all()).toBe('a?[31mb\tc\n');
    const euro = Buffer.from('€\n');
    await appendFile(path, euro.subarray(0, 2));
    expect(await reader.more()).toBe('');
    await appendFile(path, euro.subarray(2));
    expect(await reader.more()).toBe('€\n');
  });
});

describe('the journal', () => {
  it('is where JOURNAL_STREAM says that the descriptor leads', () => {
    const fd = openSync(join(directory, 'stream'), 'a');
    const { dev, ino } = fstatSync(fd);
    expect(isJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, fd)).toBe(true);
    for (const other of [`${dev}:${ino + 1}`, `${dev + 1}:${ino}`, `${dev}`, 'x:y', '']) {
      expect(isJournal({ JOURNAL_STREAM: other }, fd), other).toBe(false);
    }
    expect(isJournal({}, fd)).toBe(false);
    closeSync(fd);
    expect(isJournal({ JOURNAL_STREAM: `${dev}:${ino}` }, 9999)).toBe(false);
  });

  it('gets the priority with every line', () => {
    expect(journalLines('warning', 'lost\n  a: 1 B\n')).toBe('<4>lost\n<4>  a: 1 B\n');
    expect(journalLines('error', 'x')).toBe('<3>x\n');
  });
});
