/** Options of a program reach the parser as the words that a person would have typed. */
import { describe, expect, it } from 'vitest';
import type { Option } from '../../../src/config/kinds.js';
import { SCHEMA } from '../../../src/config/schema.js';
import { type Options, optionWords, readOptions } from '../../../src/library/options.js';

/** A value of the option's own kind that is not its default. */
function otherValue({ words, placeholder, fallback, repeatable, read, names }: Option<unknown>): unknown {
  if (typeof fallback === 'boolean') return !fallback;
  const [name = ''] = names;
  const samples = ['7', '65536', '2097152', '/a b,c\\d', 'eth0', ...placeholder.split('|')];
  for (const sample of samples) {
    try {
      const value = read(name, sample, undefined);
      if (value === fallback) continue;
      return repeatable === true ? [...(value as string[]), '/second,file'] : value;
    } catch {
      // Not of this kind.
    }
  }
  return Object.values(words).find((value) => value !== fallback);
}

const ofTheCommand = ['passive', 'passwordStdin'];
const keys = Object.entries<Option<unknown>>(SCHEMA).filter(([key]) => !ofTheCommand.includes(key));

describe('every option of the schema', () => {
  it.each(keys)('%s arrives as it was given', (key, option) => {
    const value = otherValue(option);
    expect(value, 'the test knows a value').not.toBeUndefined();
    const options: Options = { [key]: value };
    expect(readOptions(options, []).given).toEqual({ [key]: value });
    expect(readOptions({ [key]: undefined } as Options, []).given).toEqual({});
    expect(readOptions({ [key]: null } as Options, []).given).toEqual({});
  });
});

it('files with spaces, and several of them', () => {
  const userKnownHostsFiles = ['/a b', '/c,d'];
  const identityFiles = ['~/.ssh/my key', '/k,1'];
  expect(readOptions({ userKnownHostsFiles, identityFiles }, []).given).toEqual({
    userKnownHostsFiles,
    identityFiles,
  });
});

it('ssh is told what it knows', () => {
  const { sshWords } = readOptions({ port: 2222, proxyJump: 'a,b' }, []);
  expect(sshWords.map(({ keyword, value }) => `${keyword}=${value}`)).toEqual(['Port=2222', 'ProxyJump=a,b']);
});

it('words of -o win, and may be anything that the command line takes', () => {
  const { given, sshWords } = readOptions({ port: 2222 }, ['port=22,AddKeysToAgent=yes']);
  expect(given.port).toBe(22);
  expect(sshWords.map(({ keyword }) => keyword)).toContain('AddKeysToAgent');
});

it('an unknown name is told with the nearest one that exists', () => {
  expect(() => optionWords({ reedOnly: true } as Options)).toThrow("did you mean 'readOnly'?");
});

it('what takes the standard input of the command is refused, however it is spelled', () => {
  expect(() => readOptions({}, ['password_stdin'])).toThrow('is for the command');
  expect(() => readOptions({}, ['passive'])).toThrow('is for the command');
});
