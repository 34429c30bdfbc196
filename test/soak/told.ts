/**
 * What a mount has told a person of changes that it answered and the server refused (`durability=async`): lines of its
 * log, and what `remora unmount` says.
 */
export interface Told {
  /** Unix, milliseconds. */
  readonly at: number;
  /** Relative to the mount. */
  readonly path: string;
  readonly error: string;
}

/** What `log` tells of paths in the mount of `source`. */
export function toldIn(log: string, source: string): readonly Told[] {
  return log.split('\n').flatMap((line) => {
    const [time = '', ...rest] = line.split(' ');
    const before = `remora: ${source}: `;
    const text = rest.join(' ');
    const [, path, error] = /^(\w+-\d+\/[^:]+): (.+)$/.exec(text.slice(before.length)) ?? [];
    if (!text.startsWith(before) || path === undefined || error === undefined) return [];
    return [{ at: Date.parse(time), path, error }];
  });
}

/** The paths that an unmount names. */
export function namedIn(complaint: string): readonly string[] {
  return [...complaint.matchAll(/^ {2}([^:\n]+): /gm)].map(([, path = '']) => path);
}
