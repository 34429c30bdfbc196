#!/usr/bin/env node
/** The `remora` command: understand the arguments, run the one command, end with its exit code. */
import { readFileSync } from 'node:fs';
import { type Arguments, parseArguments } from './arguments.js';
import { runProgram, tell } from './entry.js';
import { EXIT, type ExitName } from './exit.js';
import { meantMountpoint, meantPath } from './named.js';
import { Progress } from './progress.js';
import { untilStopped } from './stopping.js';

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** Each command loads only what it needs: a shell that completes runs this program at every Tab. */
async function run(args: Arguments): Promise<ExitName> {
  const { env } = process;
  const uid = process.getuid?.() ?? 0;
  switch (args.command) {
    case 'print':
      process.stdout.write(args.text.endsWith('\n') ? args.text : `${args.text}\n`);
      return 'ok';
    case 'complete': {
      const { answer } = await import('./completion/completion.js');
      process.stdout.write(await answer(args.words, env, uid));
      return 'ok';
    }
    case 'completion': {
      const { completionScript } = await import('./completion/completion.js');
      process.stdout.write(completionScript(args.shell));
      return 'ok';
    }
    case 'list': {
      const { list } = await import('./list.js');
      process.stdout.write(await list(env, uid, args.json));
      return 'ok';
    }
    case 'status': {
      const mountpoint = args.mountpoint === null ? null : await meantMountpoint(args.mountpoint, env, uid);
      const meant = { ...args, mountpoint };
      if (!args.watch) {
        const { status } = await import('./status.js');
        process.stdout.write(await status(meant, env, uid));
        return 'ok';
      }
      const { watch } = await import('./watch.js');
      await watch(meant, env, uid, process.stdout, untilStopped());
      return 'interrupted';
    }
    case 'refresh': {
      const { refresh } = await import('./refresh.js');
      await refresh(await meantPath(args.path, env, uid), env, uid);
      return 'ok';
    }
    case 'warm': {
      const { warm } = await import('./warm.js');
      const meant = { ...args, path: await meantPath(args.path, env, uid) };
      const { text, exit } = await warm(meant, env, uid, tell, new Progress(process.stderr), untilStopped());
      process.stdout.write(text);
      return exit;
    }
    case 'log': {
      const { showLog } = await import('./log.js');
      const mountpoint = await meantMountpoint(args.mountpoint, env, uid);
      const print = (text: string) => void process.stdout.write(text);
      await showLog({ ...args, mountpoint }, env, uid, print, untilStopped());
      return args.follow ? 'interrupted' : 'ok';
    }
    case 'reconnect': {
      const { reconnect } = await import('./reconnect.js');
      await reconnect(await meantMountpoint(args.mountpoint, env, uid), env, uid, tell);
      return 'ok';
    }
    case 'unmount': {
      const { unmount } = await import('./unmount.js');
      const mountpoint = await meantMountpoint(args.mountpoint, env, uid);
      await unmount({ ...args, mountpoint }, env, uid, tell, new Progress(process.stderr));
      return 'ok';
    }
    case 'unmount-all': {
      const { unmountAll } = await import('./all.js');
      return unmountAll(args.force, env, uid, tell);
    }
    case 'doctor': {
      const { doctor } = await import('./doctor/doctor.js');
      const { text, exit } = await doctor(args, { env, uid, version: version() }, tell);
      process.stdout.write(text);
      return exit;
    }
    case 'system': {
      const { system } = await import('./system/system.js');
      await system(args, (line) => process.stdout.write(`${line}\n`), tell);
      return 'ok';
    }
    case 'demo': {
      const { demo } = await import('./demo.js');
      return demo(env, uid);
    }
    case 'mount': {
      const { mount } = await import('./mount.js');
      return mount(args, env, uid, tell);
    }
    case 'mount-all': {
      const { mountAll } = await import('./all.js');
      return mountAll(args, env, uid, tell);
    }
  }
}

await runProgram(
  async () => run(parseArguments(process.argv.slice(2), version())),
  (exit) => EXIT[exit].code,
);
