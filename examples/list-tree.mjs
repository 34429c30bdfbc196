#!/usr/bin/env node
/**
 * The SFTP client alone, without a mount and without a kernel: prints the files below a directory, with their sizes.
 * Names are bytes, and paths are the server's. The words after the source are options in the spelling of `-o`.
 *
 *     node examples/list-tree.mjs me@server:project
 */
import { connect, decodeText } from 'remora-fs';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

const [source = '', ...o] = process.argv.slice(2);
const session = await connect(source, { o });
const { client } = session;

/** Every entry of `directory`; a server gives as many at a time as it likes. */
async function* entriesOf(directory) {
  const handle = await client.opendir(directory);
  try {
    for (let some = await client.readdir(handle); some !== null; some = await client.readdir(handle)) {
      yield* some.filter(({ filename }) => filename !== '.' && filename !== '..');
    }
  } finally {
    await client.close(handle);
  }
}

async function print(directory, depth) {
  for await (const { filename, attributes } of entriesOf(directory)) {
    const isDirectory = (attributes.permissions & S_IFMT) === S_IFDIR;
    const what = isDirectory ? '' : `  ${attributes.size}`;
    console.log(`${'  '.repeat(depth)}${decodeText(filename)}${isDirectory ? '/' : ''}${what}`);
    if (isDirectory) await print(`${directory}/${filename}`, depth + 1);
  }
}

try {
  await print(session.directory, 0);
} finally {
  await session.close();
}
