/** The documents that are made from the program's own tables, by their place in the repository. */
import { manual } from './manual.js';
import { optionsPage } from './options-page.js';

export const DOCUMENTS: ReadonlyMap<string, string> = new Map([
  ['docs/OPTIONS.md', optionsPage()],
  ['man/remora.1', manual()],
]);
