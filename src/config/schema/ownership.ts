/** Whose files they are, as local programs see them. */
import { choice, integer, type Options, octal } from '../kinds.js';

/** Ids are unsigned 32-bit on the wire, and the largest one means "unchanged". */
const MAX_ID = 2 ** 32 - 2;

export const OWNERSHIP = {
  idmap: choice({
    group: 'Ownership',
    names: ['idmap'],
    choices: ['none', 'user'],
    fallback: 'none',
    help: 'user: files of the remote user belong to the local one. none: ids as the server has them.',
  }),
  uid: integer({
    group: 'Ownership',
    names: ['uid'],
    min: 0,
    max: MAX_ID,
    fallback: null,
    help: 'Owner of every file.',
  }),
  gid: integer({
    group: 'Ownership',
    names: ['gid'],
    min: 0,
    max: MAX_ID,
    fallback: null,
    help: 'Group of every file.',
  }),
  umask: octal({
    group: 'Ownership',
    names: ['umask'],
    help: 'Every file and directory shows the permissions 0777 without these bits.',
  }),
} as const satisfies Options;
