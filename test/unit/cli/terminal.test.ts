import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { ToCommand } from '../../../src/cli/ipc.js';
import { RemotePrompter } from '../../../src/cli/prompter.js';
import { Terminal } from '../../../src/cli/terminal.js';

class FakeTty extends EventEmitter {
  raw = false;
  paused = true;
  written = '';
  setRawMode(on: boolean): void {
    this.raw = on;
  }
  setEncoding(): void {}
  resume(): void {
    this.paused = false;
  }
  pause(): void {
    this.paused = true;
  }
  write(text: string): void {
    this.written += text;
  }
}

/** Resolves once the question is on the screen. */
const asked = () => new Promise((resolve) => setImmediate(resolve));

async function type(hidden: boolean, ...chunks: string[]) {
  const tty = new FakeTty();
  const terminal = new Terminal(tty, tty);
  const answer = hidden ? terminal.secret('Password: ') : terminal.line('Continue? ');
  const settled = answer.then(
    (text) => ({ text }),
    (error: Error) => ({ error }),
  );
  await asked();
  const rawWhileTyping = tty.raw;
  for (const chunk of chunks) tty.emit('data', chunk);
  const result = await settled;
  terminal.release();
  return { ...result, tty, rawWhileTyping };
}

describe('questions on the terminal', () => {
  it('never echoes a secret, and leaves raw mode', async () => {
    const { tty, rawWhileTyping, ...result } = await type(true, 'hun', 'ter2\r');
    expect(result).toEqual({ text: 'hunter2' });
    expect(tty.written).toBe('Password: \n');
    expect(rawWhileTyping).toBe(true);
    expect(tty.raw).toBe(false);
    expect(tty.paused).toBe(true);
    expect(tty.listenerCount('data') + tty.listenerCount('end')).toBe(0);
  });

  it('echoes a visible answer and edits it', async () => {
    const { tty, ...result } = await type(false, 'yex\x7fs', '\n');
    expect(result).toMatchObject({ text: 'yes' });
    expect(tty.written).toBe('Continue? yex\b \bs\n');
  });

  it.each([
    ['kill line', ['abc\x15def\r'], 'def'],
    ['backspace takes a whole character', ['gr\u{1F600}\x7fü\r'], 'grü'],
    ['backspace at the start', ['\x7f\x7fa\r'], 'a'],
    ['other control characters', ['a\x1b\x01b\r'], 'ab'],
    ['Ctrl-D after text', ['a\x04b\r'], 'ab'],
    ['what is pasted after enter is not part of it', ['one\rtwo\r'], 'one'],
    ['empty', ['\r'], ''],
  ])('%s', async (_, chunks, text) => {
    expect(await type(true, ...chunks)).toMatchObject({ text });
  });

  it.each(['\x03', 'abc\x03', '\x04'])('%j interrupts', async (keys) => {
    const { tty, ...result } = await type(true, keys);
    expect(result).toMatchObject({ error: { exit: 'interrupted' } });
    expect(tty.raw).toBe(false);
  });

  it('bounds an answer without end', async () => {
    const result = await type(true, 'x'.repeat(100_000), '\r');
    expect('text' in result && result.text.length).toBe(4096);
  });

  it('echoes nothing between two questions, and takes it as the next answer', async () => {
    const tty = new FakeTty();
    const terminal = new Terminal(tty, tty);
    const first = terminal.secret('1? ');
    await asked();
    tty.emit('data', 'one\r');
    expect(await first).toBe('one');
    expect(tty.raw).toBe(true);
    tty.emit('data', 'two\r');
    expect(await terminal.secret('2? ')).toBe('two');
    expect(tty.written).toBe('1? \n2? \n');
    terminal.release();
    expect(tty.raw).toBe(false);
  });

  it('passes on Ctrl-C between two questions', async () => {
    const tty = new FakeTty();
    let interrupts = 0;
    const terminal = new Terminal(tty, tty, () => {
      interrupts += 1;
    });
    const first = terminal.line('1? ');
    await asked();
    tty.emit('data', 'one\r');
    await first;
    tty.emit('data', '\x03');
    expect(interrupts).toBe(1);
    terminal.release();
  });

  it('asks one question at a time', async () => {
    const tty = new FakeTty();
    const terminal = new Terminal(tty, tty);
    const answers = Promise.all([terminal.secret('1? '), terminal.secret('2? ')]);
    await asked();
    expect(tty.written).toBe('1? ');
    tty.emit('data', 'one\r');
    await asked();
    tty.emit('data', 'two\r');
    expect(await answers).toEqual(['one', 'two']);
    expect(tty.written).toBe('1? \n2? \n');
  });
});

describe('questions over IPC', () => {
  it('matches answers to questions and ignores strangers', async () => {
    const sent: ToCommand[] = [];
    const prompter = new RemotePrompter(true, (message) => sent.push(message));
    const secret = prompter.secret('Password: ');
    const confirm = prompter.confirm('Sure? ');
    prompter.info('added');
    expect(sent).toEqual([
      { type: 'question', id: 1, text: 'Password: ', hidden: true },
      { type: 'question', id: 2, text: 'Sure? ', hidden: false },
      { type: 'info', text: 'added' },
    ]);
    prompter.answer(9, 'stranger');
    prompter.answer(2, 'yes');
    prompter.answer(1, null);
    prompter.answer(1, 'too late');
    expect(await confirm).toBe('yes');
    await expect(secret).rejects.toMatchObject({ exit: 'interrupted' });
  });
});
