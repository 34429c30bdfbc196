/** A shorthand for running the system's programs in one place as one user. */
import { type Identity, must, type RunOptions } from './run.js';
import type { Scope } from './scope.js';

export interface Tools {
  /** Runs a program that has to succeed; answers its standard output. */
  (program: string, ...args: readonly string[]): Promise<string>;
  /** The same with options. */
  with(options: RunOptions): Tools;
}

/** Programs of `scope`, run as `as` with a home of their own. */
export function toolsOf(scope: Scope, home: string, as?: Identity, more: RunOptions = {}): Tools {
  const env = {
    ...scope.environment,
    HOME: home,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'Test',
    GIT_AUTHOR_EMAIL: 'test@localhost',
    GIT_COMMITTER_NAME: 'Test',
    GIT_COMMITTER_EMAIL: 'test@localhost',
    ...more.env,
  };
  const tools = (program: string, ...args: readonly string[]) =>
    must(program, args, { timeout: 180_000, ...more, env, as });
  return Object.assign(tools, {
    with: (options: RunOptions) => toolsOf(scope, home, as, { ...more, ...options }),
  });
}
