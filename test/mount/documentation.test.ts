/**
 * Every command of the pages is typed here as it stands there: in a mount namespace, in a home whose ssh_config knows
 * the hosts that the pages speak of, all of them one sshd of this test. Changed are only names of users, ports, and
 * directories of the server. What cannot be run here is in a list, with what runs it instead.
 */
import { access, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MountNamespace } from '../support/namespace.js';
import { endProcesses } from '../support/processes.js';
import { Remora } from '../support/remora.js';
import { type Finished, must, until } from '../support/run.js';
import { Scope } from '../support/scope.js';
import { Sshd } from '../support/sshd.js';
import { isRoot } from '../support/user.js';

const ROOT = resolve(import.meta.dirname, '..', '..');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/MIGRATING-FROM-SSHFS.md',
  'docs/TROUBLESHOOTING.md',
  'docs/COMMANDS.md',
  'docs/CONNECTING.md',
  'docs/SYSTEM.md',
  'docs/RELIABILITY.md',
  'docs/PERFORMANCE.md',
];

/** Commands that are not run here, and the file that does the same. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  // The tests themselves, or what takes longer than they may.
  'npm ci && npm run demo': 'test/mount/cli-lifecycle.test.ts',
  'npm ci && npm test': 'package.json',
  'npm ci': 'package.json',
  'npm run check': 'package.json',
  'npm test': 'package.json',
  'npm run demo': 'test/mount/cli-lifecycle.test.ts',
  'npm run docs': 'test/unit/documents.test.ts',
  'npm run soak': 'test/mount/soak.test.ts',
  'npm run soak -- --minutes 10': 'test/mount/soak.test.ts',
  'npm run soak -- --minutes 10 --seed abc123': 'test/mount/soak.test.ts',
  "npm run soak -- --fault 'full disk' --fault cut -o max_conns=4 --json": 'test/mount/soak.test.ts',
  'npm run bench': 'bench/main.ts',
  'npm run bench -- --scenario find,tar --rtt 50 --peer remora,sshfs': 'bench/main.ts',
  'npm run bench -- --quick --runs 1': 'bench/main.ts',
  'npm run bench -- --list': 'bench/main.ts',
  'npm run bench -- --check-targets bench/results/results.json': 'bench/main.ts',
  'npm install -g remora-fs': 'test/mount/package.test.ts',
  'npm install -g --ignore-scripts fuse-native@2.2.6': 'test/mount/package.test.ts',
  'remora demo': 'test/mount/cli-lifecycle.test.ts',
  // They end with Ctrl-C.
  'remora status ~/nas --watch': 'test/mount/looking-in.test.ts',
  'remora status --watch ~/nas': 'test/mount/looking-in.test.ts',
  'remora log ~/nas -f': 'test/mount/looking-in.test.ts',
  'remora -f -d nas: ~/nas': 'test/mount/cli-endings.test.ts',
  // They need further servers.
  'remora -o directport=5000 127.0.0.1:/srv mnt': 'test/mount/direct-sftp.test.ts',
  'remora -o http_proxy=proxy.example:3128 nas: mnt': 'test/mount/routes.test.ts',
  'remora -o http_proxy=proxy.example:3128,http_proxy_auth=~/.proxy nas: mnt': 'test/mount/routes.test.ts',
  "remora -o 'ProxyCommand=corkscrew proxy.example 3128 %h %p' nas: mnt": 'test/mount/routes.test.ts',
  'remora putty:nas: mnt': 'test/mount/putty.test.ts',
  'remora putty:nas:/srv mnt -o User=bob': 'test/mount/putty.test.ts',
};

const COMMAND = /^(sudo )?(remora|npm|npx|mount|umount|fusermount3)( |$)/;
/** What stands in for something else: `<mountpoint>`, `[options]`, `bash|zsh`. */
const PATTERN = /<\w+>|\[[-\w]|\w\|\w/;

/** The commands of a page: of its indented and fenced lines, without remarks. */
function commandsOf(text: string): readonly string[] {
  const code = [...text.matchAll(/^ {4,}(.*)$|^```(?:sh|console)\n([\s\S]*?)^```$/gm)];
  return code
    .flatMap(([, line, block]) => (line ?? block ?? '').split('\n'))
    .map((line) =>
      line
        .replace(/^\s*\$ /, '')
        .replace(/\s+#\s.*$|\s{3,}.*$/, '')
        .trim(),
    )
    .filter((line) => COMMAND.test(line) && !PATTERN.test(line));
}

interface Step {
  readonly command: string;
  /** What the page shows below it. */
  readonly shows: readonly string[];
}

/** The parts of a session: what is typed after `$`, and what is printed then. */
function sessionsOf(text: string): readonly (readonly Step[])[] {
  return [...text.matchAll(/^```console\n([\s\S]*?)^```$/gm)].map(([, block = '']) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = '', ...shows] = step.trimEnd().split('\n');
        return { command, shows };
      }),
  );
}

/** Matches a line that is `line` but for its numbers, and for anything where it has an ellipsis. */
function likeness(line: string): RegExp {
  const number = String.raw`\d[\w.:-]*( \d+s)?( (ms|[KMG]?i?B)(/s)?)?`;
  const text = line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '.*');
  return new RegExp(`^${text.replace(/\d[\w.:\\-]*( \d+s)?( (ms|[KMG]?i?B)(\/s)?)?/g, number)}$`, 'm');
}

const page = (name: string) => readFile(join(ROOT, name), 'utf8');

let scope: Scope;
let space: MountNamespace;
let sshd: Sshd;
let remora: Remora;
let disk = '';
let bin = '';

/** A command of the pages with the names of this test. */
const here = (command: string) =>
  command
    .replace(/\bsudo /g, '')
    .replace(/\b(me|bob)@/g, '')
    .replace(/\bUser=bob\b/g, `User=${sshd.user}`)
    .replace(/\b2222\b/g, String(sshd.port))
    .replace(/\b(nas|server):\//g, `$1:${disk}/`);

/** Types it; the home is where one is. */
function type(command: string): Promise<Finished> {
  const env = { ...remora.environment, PATH: `${bin}:${process.env.PATH}` };
  return space.run('sh', ['-c', `cd "$HOME" && ${command}`], { env });
}

async function typed(command: string): Promise<string> {
  const finished = await type(command);
  expect(finished.code, `${command}\n${finished.stdout}${finished.stderr}`).toBe(0);
  return finished.stdout;
}

/** Where a command mounts or looks, of the places that the pages use. */
const placeOf = (command: string) =>
  /~\/(project|mnt|nas|etc|work)\b|\/mnt\/nas\b|\bmnt\b/.exec(command)?.[0];
const isMounting = (command: string) =>
  /^remora (?!doctor).*\b(nas|server):/.test(command) || /^mount (?!-a)/.test(command);

/** Makes the place free for a command that mounts, and a mount for one that works with it. */
async function prepare(command: string): Promise<void> {
  const place = placeOf(command);
  if (place === undefined) return;
  const isThere = (await type(`mountpoint -q ${place}`)).code === 0;
  if (isMounting(command)) await typed(isThere ? `remora unmount ${place}` : `mkdir -p ${place}`);
  else if (!isThere && COMMAND.test(command)) await typed(`mkdir -p ${place} && remora nas: ${place}`);
}

describe.runIf(isRoot)('the commands', () => {
  beforeAll(async () => {
    scope = await Scope.open('documentation');
    disk = await scope.makeDirectory('disk');
    bin = await scope.makeDirectory('bin');
    for (const name of ['project', 'src', 'srv/data', 'etc', 'docs']) {
      await mkdir(join(disk, name), { recursive: true });
      await writeFile(join(disk, name, 'README'), 'some text\n');
    }
    const author = ['-c', 'user.name=me', '-c', 'user.email=me@example.org'];
    for (const args of [
      ['init', '-q', '-b', 'main'],
      ['add', '.'],
      [...author, 'commit', '-qm', 'first'],
    ]) {
      await must('git', args, { cwd: join(disk, 'project'), env: { HOME: scope.directory } });
    }
    sshd = await Sshd.start(scope, { sftp: `internal-sftp -d ${disk}` });
    remora = await Remora.create(scope);
    const [node, main] = remora.program;
    await writeFile(join(bin, 'remora'), `#!/bin/sh\nexec '${node}' '${main}' "$@"\n`, { mode: 0o755 });

    const text = await page('README.md');
    const named = /^```toml\n([\s\S]*?)^```$/m.exec(text)?.[1] ?? '';
    const places = ['.ssh', '.config/remora', '.config/fish/completions', '.zfunc'];
    for (const name of [...places, '.local/share/bash-completion/completions']) {
      await mkdir(join(remora.home, name), { recursive: true });
    }
    await writeFile(join(remora.home, '.config/remora/config.toml'), here(named), { mode: 0o600 });
    await cp(sshd.keyFile, join(remora.home, '.ssh/id_ed25519'));
    const config = `Host nas server gate inner\n HostName ${sshd.host}\n Port ${sshd.port}\n User ${sshd.user}
 IdentityFile ${join(remora.home, '.ssh/id_ed25519')}\n UserKnownHostsFile ${sshd.knownHosts}\n`;
    for (const name of ['.ssh/config', 'work.conf']) await writeFile(join(remora.home, name), config);

    space = await MountNamespace.open(scope);
    const sbin = (await must('readlink', ['-f', '/sbin'])).trim();
    await cp(sbin, join(scope.directory, 'sbin'), { recursive: true, verbatimSymlinks: true });
    await space.bind(join(scope.directory, 'sbin'), sbin);
    await space.bind(await scope.makeDirectory('share'), '/usr/local/share');
    await space.bind(await scope.makeDirectory('mnt'), '/mnt');
    // For mount(8), whose helper takes the home of root's account.
    await space.bind(join(remora.home, '.ssh/config'), '/etc/ssh/ssh_config');
    await writeFile(join(scope.directory, 'fstab'), '');
    await space.bind(join(scope.directory, 'fstab'), '/etc/fstab');
    await typed('remora system install');
  });
  afterAll(async () => {
    if (remora !== undefined) await type('remora unmount --all --force');
    await scope?.close();
  });

  it('of the session: they print what the README shows, through an outage', async () => {
    const [work = [], outage = [], after = [], ...more] = sessionsOf(await page('README.md'));
    expect(more).toEqual([]);
    const shown = (steps: readonly Step[]) =>
      steps.flatMap(({ shows }) =>
        shows.map((line) =>
          likeness(here(line).replace('/home/me', remora.home).replace('server port', `${sshd.host} port`)),
        ),
      );
    const script = (steps: readonly Step[]) => steps.map(({ command }) => here(command)).join('\n');
    const prints = async (steps: readonly Step[]) => {
      let printed = await typed(`set -e\n${script(steps)}`);
      const [again] = steps
        .filter(({ command }) => command.startsWith('remora status'))
        .map(({ command }) => command);
      await until(`what is shown of ${script(steps)}, in\n${printed}`, async () => {
        if (shown(steps).every((line) => line.test(printed))) return true;
        if (again !== undefined) printed += await typed(here(again));
        return false;
      });
    };
    await prepare('remora server:project ~/project');
    await prints(work);
    await sshd.halt();
    await endProcesses([...(await sshd.sessions())], 'SIGKILL');
    await prints(outage);
    await sshd.resume();
    await typed('remora reconnect ~/project');
    await prints(after);
    expect(await readFile(join(disk, 'project/README'), 'utf8')).toBe('some text\none more line\n');
  });

  const done = new Set<string>();

  it.each(PAGES)('of %s', async (name) => {
    const text = await page(name);
    const line = /^ {4}\S+ +\/mnt\/nas +fuse\.remora .*$/m.exec(text)?.[0].trim() ?? '';
    const key = `IdentityFile=${sshd.keyFile}`;
    await writeFile(join(scope.directory, 'fstab'), `${here(line).replace(/IdentityFile=[^, ]+/, key)}\n`);
    for (const command of commandsOf(text)) {
      if (command in ELSEWHERE || done.has(command)) continue;
      done.add(command);
      await prepare(here(command));
      await typed(here(command));
    }
  });

  it('that are not run here are in the pages, and run elsewhere', async () => {
    const all = new Set((await Promise.all(PAGES.map(page))).flatMap(commandsOf));
    expect(Object.keys(ELSEWHERE).filter((command) => !all.has(command))).toEqual([]);
    for (const file of Object.values(ELSEWHERE)) await access(join(ROOT, file));
    const { scripts } = JSON.parse(await page('package.json')) as { scripts: Record<string, string> };
    const named = [...all].flatMap((command) => /^npm run (\S+)/.exec(command)?.[1] ?? []);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(named));
  });
});
