/** The command line of the bench, and what it reads from /proc. */
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parseOptions } from '../../../bench/options.js';
import { PEER_NAMES } from '../../../bench/peers/index.js';
import { SCENARIO_NAMES } from '../../../bench/scenarios/index.js';
import { cpuSeconds, memoryLine } from '../../../bench/usage.js';

/** Parses without leaving the process; what commander would print is in the error. */
function parse(...args: string[]) {
  const command = new Command('bench').exitOverride().configureOutput({ writeErr: () => {} });
  return parseOptions(args, command);
}

describe('options', () => {
  it('run everything three times unless told otherwise', () => {
    expect(parse()).toMatchObject({
      scenario: SCENARIO_NAMES,
      rtt: [0, 20, 50],
      peer: PEER_NAMES,
      runs: 3,
      bandwidth: null,
      cap: null,
      quick: false,
      checkTargets: false,
      remoraOptions: [],
    });
  });

  it('take lists, and Remora options one by one', () => {
    const options = parse(
      ...['--scenario', 'find,tar', '--rtt', '0,12.5', '--peer', 'remora,sshfs'],
      ...['--remora-options', 'a=1,b', '--remora-options', 'c'],
    );
    expect(options).toMatchObject({
      scenario: ['find', 'tar'],
      rtt: [0, 12.5],
      peer: ['remora', 'sshfs'],
      remoraOptions: ['a=1,b', 'c'],
    });
  });

  it('judge a file without measuring', () => {
    expect(parse('--check-targets').checkTargets).toBe(true);
    expect(parse('--check-targets', 'results.json').checkTargets).toBe('results.json');
  });

  it.each([
    [['--rtt', '-1'], 'from 0 to 2000'],
    [['--rtt', '0,,50'], 'from 0 to 2000'],
    [['--rtt', 'fast'], 'from 0 to 2000'],
    [['--runs', '0'], 'from 1 to 100'],
    [['--runs', '1.5'], 'whole number'],
    [['--bandwidth', '0'], 'from 0.1 to 100000'],
    [['--peer', 'nfs'], PEER_NAMES.join(', ')],
    [['--scenario', 'nothing'], 'sequential-read'],
  ])('refuse %j and say what is wanted', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });
});

describe('usage', () => {
  it('adds user and system time, whatever the program is called', () => {
    const fields = ['S', '1', '1', '1', '0', '-1', '0', '0', '0', '0', '0', '150', '50', '7', '7'];
    expect(cpuSeconds(`42 (a) b (c)) ${fields.join(' ')}`)).toBe(2);
  });

  it('finds a line of memory, and nothing where there is none', () => {
    const status = 'Name:\tnode\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n';
    expect(memoryLine(status, 'VmHWM')).toBe(20);
    expect(memoryLine(status, 'VmRSS')).toBe(10);
    expect(memoryLine('Name:\tkthread\n', 'VmRSS')).toBe(0);
  });
});
