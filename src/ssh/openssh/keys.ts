/**
 * Keys of PuTTY and of Dropbear, which OpenSSH cannot read: it would call them invalid and ask for a password. Where a
 * person has named nothing else, that is said instead, with the line that converts the key.
 */
import { quoted } from '../../base/shell.js';
import { ConnectError } from '../errors.js';
import { foreignFormat } from '../key-files.js';
import { type ConnectSettings, expandHome, type Surroundings } from '../settings.js';

const CONVERSIONS = {
  PuTTY: (key: string, converted: string) =>
    `puttygen ${quoted(key)} -O private-openssh -o ${quoted(converted)}`,
  Dropbear: (key: string, converted: string) =>
    `dropbearconvert dropbear openssh ${quoted(key)} ${quoted(converted)}`,
};

interface ForeignKey {
  readonly path: string;
  readonly format: keyof typeof CONVERSIONS;
}

/** The first key that was named, where all that are there are foreign; else null. */
export async function foreignKey(
  { identityFiles, preferredAuthentications }: ConnectSettings,
  { home }: Surroundings,
): Promise<ForeignKey | null> {
  if (!preferredAuthentications.includes('publickey')) return null;
  const paths = identityFiles.filter((path) => path !== 'none').map((path) => expandHome(path, home));
  const formats = await Promise.all(paths.map(foreignFormat));
  const keys = paths.flatMap((path, at) => {
    const format = formats[at];
    return format === undefined || format === 'missing' ? [] : [{ path, format }];
  });
  const [first] = keys.flatMap(({ path, format }) => (format === null ? [] : [{ path, format }]));
  return keys.every(({ format }) => format !== null) ? (first ?? null) : null;
}

/** @throws ConnectError for a key that ssh could not read */
export async function refuseForeignKeys(
  settings: ConnectSettings,
  surroundings: Surroundings,
): Promise<void> {
  for (const each of [...settings.route.hops, settings]) {
    const key = await foreignKey(each, surroundings);
    if (key === null) continue;
    const { path, format } = key;
    const line = CONVERSIONS[format](path, `${path.replace(/\.ppk$/, '')}.openssh`);
    throw new ConnectError(
      'key-file',
      `the key ${path} is in ${format}'s format, which the ssh program cannot read: use -o transport=ssh2, or convert it: ${line}`,
    );
  }
}
