/**
 * Remora with an option that changes what it promises or keeps, beside Remora as it is: in the scenarios that the option
 * is for. One that this Remora does not have is left out.
 */
import { findOption } from '../../src/config/parse.js';

/** The value of `-o`; `cache` is a directory that outlives a mount. */
const VARIANTS = {
  'remora-async': () => 'durability=async',
  'remora-watch': () => 'watch=inotify',
  'remora-cached': (cache: string) => `cache_dir=${cache}`,
  'remora-no-prefetch': () => 'prefetch=no',
} as const;

export type VariantName = keyof typeof VARIANTS;

export const VARIANT_NAMES: readonly VariantName[] = [
  'remora-async',
  'remora-watch',
  'remora-cached',
  'remora-no-prefetch',
];

export function optionOf(variant: VariantName, cache: string): string {
  return VARIANTS[variant](cache);
}

/** Is the client a variant with an option that this Remora does not have? */
export function isUnknown(peer: string): boolean {
  const variant = VARIANT_NAMES.find((name) => name === peer);
  if (variant === undefined) return false;
  const [name = ''] = optionOf(variant, '').split('=');
  return findOption(name) === null;
}
