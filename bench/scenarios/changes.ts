/** How long a change that is made on the server stays unseen by a client that has the directory in its cache. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { helperNumber, timed } from '../tools.js';
import { duration, mounted, type ScenarioFactory } from './scenario.js';

const WATCHED = 'watched';
const FILES = 10;
/** Milliseconds after the listing, for a client that begins to watch what it has listed. */
const PAUSE = 2000;
/** What the helper program `see-change` changes. */
const CHANGES = ['size', 'name'] as const;

export const changes: ScenarioFactory = () => [
  {
    name: 'remote-change',
    about: 'a change made on the server, until it shows in a directory that was just listed',
    metrics: CHANGES.map(duration),
    cap: 25,
    variants: ['remora-watch'],
    async prepare(data) {
      await data.empty(WATCHED);
      for (let index = 0; index < FILES; index++) await writeFile(data.at(WATCHED, `file-${index}`), 'old');
    },
    async run({ client, data, cap, record }) {
      const directory = join(mounted(client), WATCHED);
      for (const change of CHANGES) {
        await timed('ls', ['-l', directory], cap);
        await delay(PAUSE);
        record(change, await helperNumber('see-change', [change, directory, data.at(WATCHED)], cap));
      }
    },
  },
];
