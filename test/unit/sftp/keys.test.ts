import ssh2 from 'ssh2';
import { expect, it } from 'vitest';
import { generateKeyPair } from '../../../src/demo/keys.js';

it('fresh keys can always be read again', () => {
  for (let tries = 0; tries < 2000; tries += 1) {
    const pair = generateKeyPair();
    const halves = [ssh2.utils.parseKey(pair.public), ssh2.utils.parseKey(pair.private)];
    expect(halves.some((key) => key instanceof Error)).toBe(false);
  }
});
