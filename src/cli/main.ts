#!/usr/bin/env node
/** The `remora` command: understand the arguments, run the one command, end with its exit code. */
import { readFileSync } from 'node:fs';
import { type Arguments, parseArguments } from './arguments.js';
import { leave } from './deadline.js';
import { demo } from './demo.js';
import { doctor } from './doctor/doctor.js';
import { doctorHint } from './doctor/hint.js';
import { CommandError, EXIT, type ExitName, failureOf } from './exit.js';
import { list } from './list.js';
import { mount } from './mount.js';
import { reconnect } from './reconnect.js';
import { status } from './status.js';
import { unmount } from './unmount.js';

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

const tell = (text: string): void => {
  process.stderr.write(`remora: ${text.trimEnd()}\n`);
};

async function run(args: Arguments): Promise<ExitName> {
  const { env } = process;
  const uid = process.getuid?.() ?? 0;
  switch (args.command) {
    case 'print':
      process.stdout.write(args.text.endsWith('\n') ? args.text : `${args.text}\n`);
      return 'ok';
    case 'list':
      process.stdout.write(await list(env, uid, args.json));
      return 'ok';
    case 'status':
      process.stdout.write(await status(args, env, uid));
      return 'ok';
    case 'reconnect':
      await reconnect(args.mountpoint, env, uid, tell);
      return 'ok';
    case 'unmount':
      await unmount(args, env, uid, tell);
      return 'ok';
    case 'doctor': {
      const { text, exit } = await doctor(args, { env, uid, version: version() }, tell);
      process.stdout.write(text);
      return exit;
    }
    case 'demo':
      return demo(env, uid);
    case 'mount':
      return mount(args, env, uid, tell).catch((error: unknown) => {
        const { exit, message } = failureOf(error);
        throw new CommandError(exit, message + doctorHint(exit, args.target), { cause: error });
      });
  }
}

async function main(): Promise<ExitName> {
  try {
    return await run(parseArguments(process.argv.slice(2), version()));
  } catch (error) {
    const failure = failureOf(error);
    tell(failure.message);
    return failure.exit;
  }
}

// A terminal that was closed takes no more text; that must not end anything.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
leave(EXIT[await main()].code);
