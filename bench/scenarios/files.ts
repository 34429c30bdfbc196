/** Many small files: read all of them, make them, delete them, and ask git whether they changed. */
import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must } from '../../test/support/run.js';
import { countFiles, GIT_ENVIRONMENT } from '../data.js';
import { helperNumber, timed } from '../tools.js';
import { check, duration, mounted, type ScenarioFactory } from './scenario.js';

const MADE = 'made';
const REMOVED = 'removed';
const REPOSITORY = 'repository';
const CHECK_TIMEOUT = 60_000;
/** Whoever owns the files as the mount shows them, git shall read them. */
const GIT_STATUS = ['-c', 'safe.directory=*', 'status', '--porcelain'];

export const files: ScenarioFactory = ({ small, created, removed, project }) => [
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
    name: 'create',
    about: `write ${created} new small files into one directory`,
    metrics: [duration('time')],
    cap: 120,
    async prepare(data) {
      await data.empty(MADE);
    },
    async run({ client, data, cap, record }) {
      record('time', await helperNumber('create', [join(mounted(client), MADE), created], cap));
      check((await readdir(data.at(MADE))).length === created, 'number of new files');
      const last = created - 1;
      const content = await readFile(data.at(MADE, `file-${last}`), 'utf8');
      check(content === `content of file ${last}\n`, 'a new file');
    },
  },
  {
    name: 'git-status',
    about: `git status in a repository of ${project.files} files that was cloned at the server`,
    metrics: [duration('cold'), duration('warm')],
    cap: 120,
    async prepare(data) {
      // Each client writes what it saw into the index, so each gets an index as the server has it.
      await data.fresh(await data.repository(project), REPOSITORY);
    },
    async run({ client, cap, record }) {
      const options = { cwd: join(mounted(client), REPOSITORY), env: GIT_ENVIRONMENT };
      for (const metric of ['cold', 'warm']) {
        const { seconds, stdout } = await timed('git', GIT_STATUS, cap, options);
        check(stdout === '', `git status: ${stdout.slice(0, 100)}`);
        record(metric, seconds);
      }
    },
  },
  {
    name: 'rm-r',
    about: `rm -r of ${removed.files} files in ${removed.directories} directories`,
    metrics: [duration('time')],
    cap: 120,
    async prepare(data) {
      const copy = await data.fresh(await data.tree(removed), REMOVED);
      check((await countFiles(data.at(copy))) === removed.files, 'files to remove');
    },
    async run({ client, data, cap, record }) {
      record('time', (await timed('rm', ['-r', join(mounted(client), REMOVED)], cap)).seconds);
      const gone = await access(data.at(REMOVED)).then(
        () => false,
        () => true,
      );
      check(gone, 'something is left after rm -r');
    },
  },
];
