/** Where programs that ssh starts ask us, and the way through a proxy that one of them asks for. */
import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConnectError } from '../../../src/ssh/errors.js';
import { askDesk, Desk } from '../../../src/ssh/openssh/desk.js';
import { formatRelayFailure, parseRelayFailure, relayJob } from '../../../src/ssh/openssh/relay.js';
import { SshFixture, settings } from '../../support/ssh-fixture.js';

const fixture = new SshFixture();

/** A directory as a killed process leaves it: with a socket at which nobody listens. */
async function desert(name: string): Promise<void> {
  const directory = join(fixture.home, name);
  mkdirSync(directory);
  const socket = join(directory, 'socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  renameSync(socket, `${socket}-kept`);
  await new Promise((resolve) => server.close(resolve));
  renameSync(`${socket}-kept`, socket);
}

describe('a desk', () => {
  test('answers, or does not, and leaves nothing', async () => {
    const desk = await Desk.open(async ({ text }) => (text === 'who?' ? 'me\nand you' : null), fixture.home);
    expect(await askDesk(desk.socket, { text: 'who?', hint: '' })).toBe('me\nand you');
    expect(await askDesk(desk.socket, { text: 'why?', hint: '' })).toBeNull();
    desk.close();
    expect(readdirSync(fixture.home)).toEqual([]);
    expect(await askDesk(desk.socket, { text: 'who?', hint: '' })).toBeNull();
  });

  test('takes away those of killed processes, and no other directory', async () => {
    const living = await Desk.open(async () => 'here', fixture.home);
    await desert('remora-ask-dead');
    await desert('others');
    symlinkSync('others', join(fixture.home, 'remora-ask-link'));
    mkdirSync(join(fixture.home, 'remora-ask-begun'));
    writeFileSync(join(fixture.home, 'remora-ask-file'), '');
    const desk = await Desk.open(async () => null, fixture.home);
    expect(await askDesk(living.socket, { text: '', hint: '' })).toBe('here');
    for (const each of [living, desk]) each.close();
    const names = readdirSync(fixture.home).sort();
    expect(names).toEqual(['others', 'remora-ask-begun', 'remora-ask-file', 'remora-ask-link']);
    expect(readdirSync(join(fixture.home, 'others'))).toEqual(['socket']);
  });
});

describe('a relay', () => {
  test('is for proxies that ssh does not speak to', () => {
    const proxy = { kind: 'socks', host: 'p', port: 1, user: null, password: 'x' } as const;
    const job = relayJob(settings(22, { route: { hops: [], proxy } }));
    expect(job).toMatchObject({ proxy, host: '127.0.0.1', port: 22 });
    expect(relayJob(settings(22))).toBeNull();
    const command = { kind: 'command', command: 'nc %h %p' } as const;
    expect(relayJob(settings(22, { route: { hops: [], proxy: command } }))).toBeNull();
  });

  test('its failure arrives as it was', () => {
    const failure = new ConnectError('refused', 'no way: 403 Forbidden');
    expect(parseRelayFailure(formatRelayFailure(failure))).toMatchObject({
      kind: 'refused',
      message: failure.message,
    });
    expect(parseRelayFailure('remora-relay host-key-changed: x')).toBeNull();
    expect(parseRelayFailure('Permission denied.')).toBeNull();
  });
});
