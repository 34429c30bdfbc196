/** docs/CONNECTING.md against the program: what has an effect is in it, and so is every name that the doctor says. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sshKeywordOf } from '../../../../src/config/parse.js';
import { PROXY } from '../../../../src/config/schema/proxy.js';
import { TRANSPORT } from '../../../../src/config/schema/transport.js';
import { SCHEMA } from '../../../../src/config/schema.js';

const at = (path: string) => new URL(`../../../../${path}`, import.meta.url);
const manual = readFileSync(at('docs/CONNECTING.md'), 'utf8');

describe('the manual of connecting', () => {
  it('has every keyword of ssh_config that has an effect', () => {
    const keywords = Object.values(SCHEMA).flatMap((option) => sshKeywordOf(option) ?? []);
    const missing = keywords.filter((keyword) => !manual.includes(`\`${keyword}`));
    expect(missing).toEqual([]);
  });

  it('has every option of proxies and transports', () => {
    const names = [...Object.values(PROXY), ...Object.values(TRANSPORT)].map(({ names: [first] }) => first);
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(manual))).toEqual([]);
  });

  it('has every check and finding of the doctor', () => {
    const files = readdirSync(at('src/cli/doctor')).map((name) =>
      readFileSync(at(`src/cli/doctor/${name}`), 'utf8'),
    );
    const ids = files.flatMap((text) =>
      [...text.matchAll(/(?:\bid: |check\()'([\w-]+)'/g)].map(([, id]) => id),
    );
    expect(ids.length).toBeGreaterThan(30);
    expect(ids.filter((id) => !manual.includes(`\`${id}\``))).toEqual([]);
  });

  it('leads to headings that are there', () => {
    const commands = readFileSync(at('docs/COMMANDS.md'), 'utf8');
    const slugs = [...manual.matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => {
      return text
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-');
    });
    const links = [
      ...manual.matchAll(/\]\(#([\w-]+)\)/g),
      ...commands.matchAll(/\]\(CONNECTING\.md#([\w-]+)\)/g),
    ].map(([, anchor]) => anchor);
    expect(links.length).toBeGreaterThan(15);
    expect(links.filter((anchor) => !slugs.includes(anchor ?? ''))).toEqual([]);
  });
});
