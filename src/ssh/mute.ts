/** For logins without a person: nobody answers, and what would be told goes to the debug log. */
import { logger } from '../base/log.js';
import { printable } from '../base/printable.js';
import type { Prompter } from './settings.js';

const log = logger('ssh');

export const mute: Prompter = {
  interactive: false,
  secret: () => Promise.reject(new Error('nobody to ask')),
  confirm: () => Promise.reject(new Error('nobody to ask')),
  info: (message) => log('%s', printable(message)),
};
