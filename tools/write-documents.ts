/** `npm run docs`: writes the documents that are made from the tables of the program. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DOCUMENTS } from './documents/index.js';

for (const [path, text] of DOCUMENTS) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  process.stdout.write(`${path}\n`);
}
