/** Many small files: read all or some of them, make them, delete them, clone them, and ask git whether they changed. */
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../test/support/run.js';
import { countFiles, filesOf, GIT_ENVIRONMENT } from '../data.js';
import type { Client } from '../peers/peer.js';
import { helperNumber, timed } from '../tools.js';
import { check, duration, mounted, rate, type ScenarioFactory } from './scenario.js';

const MADE = 'made';
const REMOVED = 'removed';
const REPOSITORY = 'repository';
const CLONE = 'cloned';
const CHECK_TIMEOUT = 60_000;
/** Whoever owns the files as the mount shows them, git shall read them. */
const ANYBODYS = ['-c', 'safe.directory=*'];
const GIT_STATUS = [...ANYBODYS, 'status', '--porcelain'];
/** Reads every file to its end, and says so: `./FILE:LINES`. */
const COUNT_LINES = ['-rac', '', '.'];

function sortedLines(text: string): string {
  return text.split('\n').sort().join('\n');
}

export const files: ScenarioFactory = ({ small, scattered, created, removed, project }) => [
  {
    name: 'tar',
    about: `tar of ${small.files} files of ${small.bytes / 1024} KiB in ${small.directories} directories`,
    metrics: [duration('cold')],
    cap: 120,
    async prepare(data) {
      await data.tree(small);
    },
    async run({ client, data, workshop, cap, record }) {
      const tree = await data.tree(small);
      // To a real file: tar does not read what goes to /dev/null.
      const archive = join(workshop, 'archive.tar');
      record('cold', (await timed('tar', ['-cf', archive, '-C', mounted(client), tree], cap)).seconds);
      await must('tar', ['-df', archive, '-C', data.root], { timeout: CHECK_TIMEOUT });
    },
  },
  {
    name: 'grep-r',
    about: `grep -r over ${small.files} files of ${small.bytes / 1024} KiB in ${small.directories} directories`,
    metrics: [duration('cold')],
    cap: 120,
    async prepare(data) {
      await data.tree(small);
    },
    async run({ client, data, cap, record }) {
      const tree = await data.tree(small);
      const { seconds, stdout } = await timed('grep', COUNT_LINES, cap, {
        cwd: join(mounted(client), tree),
      });
      record('cold', seconds);
      const there = await must('grep', COUNT_LINES, { cwd: data.at(tree), timeout: CHECK_TIMEOUT });
      check(sortedLines(stdout) === sortedLines(there), 'lines that grep counted');
    },
  },
  {
    name: 'random-files',
    about: `open and read ${scattered} of ${small.files} files of ${small.bytes / 1024} KiB, in no order`,
    metrics: [rate('files', scattered)],
    cap: 120,
    variants: ['remora-no-prefetch'],
    async prepare(data) {
      await data.tree(small);
    },
    async run({ client, data, cap, record }) {
      const tree = await data.tree(small);
      const args = [join(mounted(client), tree), data.at(tree), scattered];
      const input = filesOf(small).join('\n');
      record('files', scattered / (await helperNumber('random-files', args, cap, { input })));
    },
  },
  {
    name: 'create',
    about: `write ${created} new small files into one directory`,
    metrics: [duration('time')],
    cap: 120,
    variants: ['remora-async'],
    async prepare(data) {
      await data.empty(MADE);
    },
    async run({ client, data, cap, record, reconnect }) {
      record('time', await helperNumber('create', [join(mounted(client), MADE), created], cap));
      // With `durability=async` everything is on the server after an unmount, and not before.
      await reconnect();
      check((await readdir(data.at(MADE))).length === created, 'number of new files');
      const last = created - 1;
      const content = await readFile(data.at(MADE, `file-${last}`), 'utf8');
      check(content === `content of file ${last}\n`, 'a new file');
    },
  },
  {
    name: 'git-status',
    about: `git status in a repository of ${project.files} files that was cloned at the server`,
    metrics: [duration('cold'), duration('warm'), duration('remounted')],
    cap: 120,
    variants: ['remora-cached'],
    async prepare(data) {
      // Each client writes what it saw into the index, so each gets an index as the server has it.
      await data.fresh(await data.repository(project), REPOSITORY);
    },
    async run({ client, cap, record, reconnect }) {
      const status = async (metric: string, at: Client) => {
        const options = { cwd: join(mounted(at), REPOSITORY), env: GIT_ENVIRONMENT };
        const { seconds, stdout } = await timed('git', GIT_STATUS, cap, options);
        check(stdout === '', `git status: ${stdout.slice(0, 100)}`);
        record(metric, seconds);
      };
      await status('cold', client);
      await status('warm', client);
      await status('remounted', await reconnect());
    },
  },
  {
    name: 'git-clone',
    about: `git clone of ${project.files} files into the mount`,
    metrics: [duration('time')],
    cap: 900,
    runs: 1,
    variants: ['remora-async'],
    async prepare(data) {
      await data.repository(project);
      await data.remove(CLONE);
    },
    async run({ client, data, cap, record, reconnect }) {
      const source = data.at(await data.repository(project));
      const clone = join(mounted(client), CLONE);
      const args = [...ANYBODYS, 'clone', '-q', `file://${source}`, clone];
      record('time', (await timed('git', args, cap, { env: GIT_ENVIRONMENT })).seconds);
      await reconnect();
      await must('git', [...ANYBODYS, 'fsck', '--strict'], {
        cwd: data.at(CLONE),
        env: GIT_ENVIRONMENT,
        timeout: CHECK_TIMEOUT,
      });
      // Whatever else differs would be named beside .git.
      await must('diff', ['-r', '--exclude=.git', source, data.at(CLONE)], { timeout: CHECK_TIMEOUT });
      await data.remove(CLONE);
    },
  },
  {
    name: 'rm-r',
    about: `rm -r of ${removed.files} files in ${removed.directories} directories`,
    metrics: [duration('time')],
    cap: 120,
    variants: ['remora-async'],
    async prepare(data) {
      const copy = await data.fresh(await data.tree(removed), REMOVED);
      check((await countFiles(data.at(copy))) === removed.files, 'files to remove');
    },
    async run({ client, data, cap, record, reconnect }) {
      record('time', (await timed('rm', ['-r', join(mounted(client), REMOVED)], cap)).seconds);
      await reconnect();
      const gone = await access(data.at(REMOVED)).then(
        () => false,
        () => true,
      );
      check(gone, 'something is left after rm -r');
    },
  },
];
