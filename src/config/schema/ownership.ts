/** Whose files they are, as local programs see them. */
import { choice, integer, type Options, octal, path } from '../kinds.js';

/** Ids are unsigned 32-bit on the wire, and the largest one means "unchanged". */
const MAX_ID = 2 ** 32 - 2;

export const OWNERSHIP = {
  idmap: choice({
    group: 'Ownership',
    names: ['idmap'],
    choices: ['none', 'user', 'file', 'name'],
    fallback: 'none',
    help: 'Owners. none: numbers as the server has them. user: files of the remote login belong to whoever mounts. file: by the tables of uidfile and gidfile. name: by the names of users and groups on both sides (the server needs OpenSSH 9.1).',
  }),
  uidfile: path({
    group: 'Ownership',
    names: ['uidfile'],
    placeholder: 'FILE',
    fallback: null,
    help: 'For idmap=file: lines NAME:ID, a local user and the number of the same one on the server.',
  }),
  gidfile: path({
    group: 'Ownership',
    names: ['gidfile'],
    placeholder: 'FILE',
    fallback: null,
    help: 'For idmap=file: lines NAME:ID, a local group and the number of the same one on the server.',
  }),
  nomap: choice({
    group: 'Ownership',
    names: ['nomap'],
    choices: ['error', 'ignore'],
    fallback: 'error',
    help: 'For idmap=file, owners in no line. error: their files are EPERM. ignore: their numbers are as the server has them.',
  }),
  uid: integer({
    group: 'Ownership',
    names: ['uid'],
    min: 0,
    max: MAX_ID,
    fallback: null,
    help: 'Every file appears to belong to this user; with gid as well, everything is yours.',
  }),
  gid: integer({
    group: 'Ownership',
    names: ['gid'],
    min: 0,
    max: MAX_ID,
    fallback: null,
    help: 'Every file appears to belong to this group.',
  }),
  umask: octal({
    group: 'Ownership',
    names: ['umask'],
    help: 'Every file and directory shows the permissions 0777 without these bits.',
  }),
} as const satisfies Options;
