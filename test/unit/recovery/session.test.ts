/** Two sessions at a time, one made by the session itself and one with a person's help: only one may be taken. */
import { expect, it } from 'vitest';
import { deferred } from '../../../src/base/deferred.js';
import { Session } from '../../../src/recovery/session.js';
import type { SftpClient } from '../../../src/sftp/client.js';
import { ManualClock } from '../../support/direct-filesystem.js';

/** As much of a client as a session sees. */
class StubClient {
  state: 'open' | 'closed' = 'open';
  #lost: (error: Error) => void = () => undefined;

  get client(): SftpClient {
    return this as unknown as SftpClient;
  }

  onClose(listener: (error: Error) => void): void {
    this.#lost = listener;
  }

  end(): void {
    this.state = 'closed';
  }

  lose(): void {
    this.end();
    this.#lost(new Error('lost'));
  }
}

it('makes one client ready at a time: a person’s help that comes too late is not asked for', async () => {
  const [first, own, helped] = [new StubClient(), new StubClient(), new StubClient()];
  let asked = 0;
  const session = new Session(first.client, {
    open: async () => own.client,
    needsPerson: () => false,
    reconnect: true,
    reconnectMax: 0,
    clock: new ManualClock(),
    report: () => undefined,
  });
  const prepared: SftpClient[] = [];
  const gate = deferred<void>();
  session.listen({
    prepare: async (client) => {
      prepared.push(client);
      await gate.promise;
    },
    changed: () => undefined,
  });
  first.lose();
  await expect.poll(() => prepared.length).toBe(1);
  const connected = session.connect(async () => {
    asked += 1;
    return helped.client;
  });
  gate.resolve();
  await connected;
  expect(asked).toBe(0);
  expect(prepared).toEqual([own.client]);
  expect(session.client).toBe(own.client);
  expect(own.state).toBe('open');
});
