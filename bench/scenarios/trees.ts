/** Walking trees: cold, with nothing known of them, and warm, right after that. */
import { filesOf } from '../data.js';
import { median } from '../results.js';
import type { Shape } from '../sizes.js';
import { timed } from '../tools.js';
import { check, duration, mounted, type Scenario, type ScenarioFactory } from './scenario.js';

/** Warm walks whose median is taken. */
const WARM_WALKS = 5;

interface Walk {
  readonly name: string;
  readonly about: string;
  readonly shape: Shape;
  /** Program and arguments, run in the tree's root. */
  readonly command: readonly [string, ...string[]];
  /** Lines of output that show a whole tree. */
  readonly lines: (text: string) => number;
}

export const trees: ScenarioFactory = ({ project, small }) => {
  const nonEmpty = (text: string) => text.split('\n').filter((line) => line !== '').length;
  const walks: readonly Walk[] = [
    {
      name: 'ls-lR',
      about: `ls -lR of ${project.files} files in ${project.directories} directories`,
      shape: project,
      command: ['ls', '-lR', '.'],
      lines: (text) => text.split('\n').filter((line) => line.startsWith('-')).length,
    },
    {
      name: 'find',
      about: `find over ${small.files} files in ${small.directories} directories`,
      shape: small,
      command: ['find', '.', '-type', 'f'],
      lines: nonEmpty,
    },
    {
      name: 'stat',
      about: `stat of ${project.files} files by name`,
      shape: project,
      command: ['stat', '-c', '%s %n', '--', ...filesOf(project)],
      lines: nonEmpty,
    },
  ];
  return walks.map(scenarioOf);
};

function scenarioOf({ name, about, shape, command: [program, ...args], lines }: Walk): Scenario {
  return {
    name,
    about,
    metrics: [duration('cold'), duration('warm')],
    cap: 120,
    local: true,
    async prepare(data) {
      await data.tree(shape);
    },
    async run({ client, data, cap, record }) {
      const cwd = `${mounted(client)}/${await data.tree(shape)}`;
      const walk = async () => {
        const { seconds, stdout } = await timed(program, args, cap, { cwd });
        check(lines(stdout) === shape.files, `${lines(stdout)} of ${shape.files} files`);
        return seconds;
      };
      record('cold', await walk());
      const warm: number[] = [];
      while (warm.length < WARM_WALKS) warm.push(await walk());
      record('warm', median(warm) ?? 0);
    },
  };
}
