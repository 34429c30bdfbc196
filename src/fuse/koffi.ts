/**
 * koffi, by which the C library is called. Its binary is an optional package of its own, which an installation may lack;
 * so it is loaded on first use, and whoever cannot do without hears one sentence.
 */
import { createRequire } from 'node:module';
import { npmInstall } from '../base/installation.js';
import { MountError } from './mount/errors.js';

type Koffi = typeof import('koffi').default;

/** How an installation gets what it lacks. */
export const KOFFI_REMEDY = npmInstall('--include=optional remora-fs');

let loaded: Koffi | null = null;

/** @throws MountError `no-driver` where it has no binary for this machine */
export function koffi(): Koffi {
  loaded ??= load(createRequire(import.meta.url));
  return loaded;
}

function load(require: NodeJS.Require): Koffi {
  try {
    return require('koffi') as Koffi;
  } catch (cause) {
    const machine = `${process.platform} on ${process.arch}`;
    const text = `koffi, which every driver needs, has no binary for ${machine} here (${KOFFI_REMEDY})`;
    throw new MountError('no-driver', text, { cause });
  }
}
