/**
 * What may stand where the cursor is: from the table of commands and the schema of options, so that a new flag or
 * option completes by being there. Pure but for what it asks of `Sources`; the shells' part is in `completions/`.
 */

import type { Option } from '../../config/kinds.js';
import { findOption } from '../../config/parse.js';
import { SCHEMA } from '../../config/schema.js';
import {
  COMMAND_ROWS,
  COMMANDS,
  type Command,
  type CommandName,
  type Flag,
  GENERAL_FLAGS,
  type Place,
  spellings,
} from '../commands.js';

/** What is known of this machine and its user. */
export interface Sources {
  /** Names of hosts that ssh knows. */
  hosts(): Promise<readonly string[]>;
  /** Where something of Remora is mounted. */
  mountpoints(): Promise<readonly string[]>;
  /** Mounts of the configuration file. */
  names(): Promise<readonly string[]>;
}

export interface Candidate {
  /** The whole word. */
  readonly text: string;
  readonly note: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** Files or directories may stand behind `prefix`, which is part of the word. */
  readonly paths: { readonly kind: 'file' | 'directory'; readonly prefix: string } | null;
}

const NOTHING: Completion = { candidates: [], paths: null };
const ADDRESS = /^[0-9a-f]*:[0-9a-f:.]+(%\w+)?$/i;

/** Where in a command the cursor is. */
interface Position {
  readonly command: CommandName | null;
  /** Operands before it. */
  readonly operands: number;
  /** The flag whose value is to come. */
  readonly flag: Flag | null;
  /** Behind `--`, where nothing is a flag. */
  readonly isPlain: boolean;
}

/** @param words the words behind the program's name up to the cursor; the last one is being typed, or empty */
export async function complete(words: readonly string[], sources: Sources): Promise<Completion> {
  const word = words.at(-1) ?? '';
  const { command, operands, flag, isPlain } = locate(words.slice(0, -1));
  if (flag !== null) return completeValue(flag.place ?? 'anything', word, '', sources);
  const row: Command = COMMANDS[command ?? 'mount'];
  if (word.startsWith('-') && !isPlain) {
    const joined = row.flags.find((each) => each.place !== undefined && isJoined(each, word));
    if (joined !== undefined)
      return completeValue(joined.place ?? 'anything', word.slice(2), word.slice(0, 2), sources);
    const candidates = [...row.flags, ...GENERAL_FLAGS].flatMap((each) =>
      spellings(each).map((text) => ({ text, note: each.help })),
    );
    return matching(candidates, word);
  }
  const operand = row.operands[operands];
  const isFirst = command === null && operands === 0;
  const commands = isFirst ? matching(commandNames(), word).candidates : [];
  if (operand === undefined) return { candidates: commands, paths: null };
  const value = await completeValue(operand.place, word, '', sources);
  return { ...value, candidates: [...commands, ...value.candidates] };
}

function locate(words: readonly string[]): Position {
  let position: Position = { command: null, operands: 0, flag: null, isPlain: false };
  for (const word of words) position = step(position, word);
  return position;
}

function step(position: Position, word: string): Position {
  const { command, operands, flag, isPlain } = position;
  if (flag !== null) return { ...position, flag: null };
  if (word === '--' && !isPlain) return { ...position, isPlain: true };
  if (word.startsWith('-') && word !== '-' && !isPlain) {
    return { ...position, flag: flagInNeed(COMMANDS[command ?? 'mount'], word) };
  }
  const named = command === null && operands === 0 ? findCommand(word) : null;
  return named === null ? { ...position, operands: operands + 1 } : { ...position, command: named };
}

/** The flag at the end of `word` whose value is the next word; -fo is -f and -o. */
function flagInNeed({ flags }: Command, word: string): Flag | null {
  const takers = flags.filter(({ place }) => place !== undefined);
  const find = (spelling: string) => takers.find((flag) => spellings(flag).includes(spelling)) ?? null;
  if (word.startsWith('--')) return find(word);
  for (let at = 1; at < word.length; at++) {
    const flag = find(`-${word.charAt(at)}`);
    if (flag !== null) return at === word.length - 1 ? flag : null;
  }
  return null;
}

const isJoined = (flag: Flag, word: string) => word.length > 2 && spellings(flag).includes(word.slice(0, 2));

function findCommand(word: string): CommandName | null {
  return COMMAND_ROWS.find(([name, row]) => name === word || row.aliases?.includes(word))?.[0] ?? null;
}

function commandNames(): readonly Candidate[] {
  return COMMAND_ROWS.map(([text, { usage }]) => ({ text, note: usage[0]?.[1] ?? '' }));
}

function matching(candidates: readonly Candidate[], word: string): Completion {
  return { candidates: candidates.filter(({ text }) => text.startsWith(word)), paths: null };
}

/** What may be the value that has begun with `text`, behind `before` in the same word. */
async function completeValue(
  place: Place,
  text: string,
  before: string,
  sources: Sources,
): Promise<Completion> {
  if (typeof place !== 'string') return matching(oneOf(place, before), before + text);
  switch (place) {
    case 'options':
      return optionsOf(text, before, sources);
    case 'source':
      return sourceOf(text, before, sources);
    case 'host': {
      const at = text.lastIndexOf(',') + 1;
      return hostOf(text.slice(at), before + text.slice(0, at), sources);
    }
    case 'mountpoint': {
      const [paths, names] = await Promise.all([sources.mountpoints(), sources.names()]);
      const known = [...named(names), ...paths.map((path) => ({ text: path, note: 'mounted' }))];
      const found = matching(known, text);
      return found.candidates.length > 0
        ? found
        : { ...NOTHING, paths: { kind: 'directory', prefix: before } };
    }
    case 'content': {
      const { candidates } = matching(named(await sources.names()), text);
      return { candidates, paths: { kind: 'file', prefix: before } };
    }
    case 'directory':
    case 'file':
      return { ...NOTHING, paths: { kind: place, prefix: before } };
    case 'anything':
      return NOTHING;
  }
}

const oneOf = (words: readonly string[], before: string) =>
  words.map((word) => ({ text: before + word, note: '' }));

const named = (names: readonly string[]) => names.map((text) => ({ text, note: 'named mount' }));

async function sourceOf(text: string, before: string, sources: Sources): Promise<Completion> {
  if (text.includes(':') && !text.startsWith('[')) return NOTHING;
  const hosts = await hostOf(text, before, sources, (host) => `${ADDRESS.test(host) ? `[${host}]` : host}:`);
  const names = matching(named(await sources.names()), text);
  return { ...hosts, candidates: [...names.candidates, ...hosts.candidates] };
}

/** Hosts, behind the user if there is one. */
async function hostOf(
  text: string,
  before: string,
  sources: Sources,
  shown: (host: string) => string = (host) => host,
): Promise<Completion> {
  const user = text.slice(0, text.lastIndexOf('@') + 1);
  const hosts = (await sources.hosts()).map((host) => ({ text: before + user + shown(host), note: 'host' }));
  return matching(hosts, before + text);
}

/** `ro,idmap=us`: the last word of an option string. */
async function optionsOf(text: string, before: string, sources: Sources): Promise<Completion> {
  const start = lastWord(text);
  const word = text.slice(start);
  const head = before + text.slice(0, start);
  const equals = word.indexOf('=');
  if (equals < 0) return matching(optionNames(word, head), before + text);
  const name = word.slice(0, equals);
  const prefix = head + word.slice(0, equals + 1);
  const option = findOption(name);
  if (option === null) return NOTHING;
  if (option.names.includes('ProxyJump')) return hostOf(word.slice(equals + 1), prefix, sources);
  if (option.type === 'file' || option.type === 'files') {
    return { ...NOTHING, paths: { kind: 'file', prefix } };
  }
  return matching(oneOf(option.choices, prefix), before + text);
}

/** Where the word behind the last comma begins; `\\,` is none. */
function lastWord(text: string): number {
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text.charAt(at) === '\\') at++;
    else if (text.charAt(at) === ',') start = at + 1;
  }
  return start;
}

/** Of each option the names it is documented by; another one where only that begins like `word`. */
function optionNames(word: string, head: string): readonly Candidate[] {
  return Object.values<Option<unknown>>(SCHEMA).flatMap((option) => {
    const note = firstSentence(option.help);
    const isFlag = option.type === 'flag';
    const name = option.names.find((each) => each.startsWith(word));
    const bare = Object.keys(option.words).filter((each) => !option.names.includes(each));
    const names = name === undefined ? bare : [isFlag ? name : `${name}=`, ...bare];
    return names.map((each) => ({ text: head + each, note }));
  });
}

function firstSentence(text: string): string {
  return /^.*?[.:;](?= |$)/.exec(text)?.[0].replace(/[.:;]$/, '') ?? text;
}
