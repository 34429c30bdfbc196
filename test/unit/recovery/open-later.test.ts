/** Handles that are opened on the server when a request needs them, on a client that notes what it is asked. */
import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { FsError } from '../../../src/base/errno.js';
import { Handles } from '../../../src/recovery/handles.js';
import type { SftpClient, SftpHandle } from '../../../src/sftp/client.js';
import { SSH_FX_NO_SUCH_FILE, SSH_FXF_READ } from '../../../src/sftp/constants.js';
import { ConnectionLostError, SftpStatusError } from '../../../src/sftp/errors.js';

const PATH = ascii('/f');
const REAL = 'real' as SftpHandle;

function setUp(opened: () => Promise<SftpHandle> = async () => REAL) {
  const asked: string[] = [];
  const reports: string[] = [];
  const client = {
    open: (path: string) => {
      asked.push(`open ${path}`);
      return opened();
    },
    fstat: async () => {
      asked.push('fstat');
      return {};
    },
    close: async (handle: string) => {
      asked.push(`close ${handle}`);
    },
  } as unknown as SftpClient;
  const handles = new Handles((text) => reports.push(text));
  const handle = handles.add(null, 'file', PATH, SSH_FXF_READ);
  const use = (what: string) =>
    handles.with(client, handle, async (real) => {
      asked.push(`${what} ${real}`);
      return what;
    });
  return { asked, reports, client, handles, handle, use };
}

describe('a handle that is opened later', () => {
  it('costs nothing as long as nothing needs it', () => {
    const { asked, handles, handle } = setUp();
    expect(handles.size).toBe(0);
    expect(handles.remove(handle)).toBe(null);
    expect(asked).toEqual([]);
  });

  it('is opened once, for all that come meanwhile, in their order', async () => {
    const { asked, handles, use } = setUp();
    expect(await Promise.all([use('a'), use('b'), use('c')])).toEqual(['a', 'b', 'c']);
    await use('d');
    expect(asked).toEqual(['open /f', 'fstat', 'a real', 'b real', 'c real', 'd real']);
    expect(handles.size).toBe(1);
  });

  it('is closed when nobody wants it any more by the time it is open', async () => {
    const { asked, handles, handle, use } = setUp();
    const using = use('a');
    handles.remove(handle);
    await using;
    expect(asked).toEqual(['open /f', 'fstat', 'a real', 'close real']);
  });

  it('is stale for all who want it when the file is gone, and that is said once', async () => {
    const { reports, use } = setUp(() => Promise.reject(new SftpStatusError(SSH_FX_NO_SUCH_FILE, 'gone')));
    const all = await Promise.allSettled([use('a'), use('b')]);
    for (const each of all) expect(each).toMatchObject({ status: 'rejected', reason: { code: 'ESTALE' } });
    await expect(use('c')).rejects.toMatchObject({ code: 'ESTALE' });
    expect(reports).toHaveLength(1);
  });

  it('waits for the next session when this one is lost', async () => {
    const lost = new ConnectionLostError('lost');
    let opens = 0;
    const { asked, client, handles, use } = setUp(() =>
      opens++ === 0 ? Promise.reject(lost) : Promise.resolve(REAL),
    );
    await expect(use('a')).rejects.toBe(lost);
    await handles.reopen(client);
    expect(asked).toEqual(['open /f']);
    expect(await use('a')).toBe('a');
    expect(asked).toEqual(['open /f', 'open /f', 'fstat', 'a real']);
  });
});

describe('a promised handle', () => {
  function promised() {
    const { handles, client } = setUp();
    const handle = handles.promise(PATH, SSH_FXF_READ);
    const asked: string[] = [];
    const use = (what: string) =>
      handles.with(client, handle, async (real) => {
        asked.push(`${what} ${real}`);
        return what;
      });
    const made = () => handles.add(REAL, 'file', PATH, SSH_FXF_READ);
    return { handles, handle, asked, use, made };
  }

  it('keeps what is done with it, in its order, until it is fulfilled', async () => {
    const { handles, handle, asked, use, made } = promised();
    const all = Promise.all([use('a'), use('b')]);
    expect(asked).toEqual([]);
    expect(handles.fulfil(handle, made())).toBe(true);
    await all;
    await use('c');
    expect(asked).toEqual(['a real', 'b real', 'c real']);
    expect(handles.remove(handle)).toBe(REAL);
    expect(handles.size).toBe(0);
  });

  it('fails all that is done with it when there is no such file', async () => {
    const { handles, handle, use } = promised();
    const before = use('a');
    const refusal = new FsError('EACCES', 'no');
    handles.refuse(handle, refusal);
    await expect(before).rejects.toBe(refusal);
    await expect(use('b')).rejects.toBe(refusal);
  });

  it('is nobody’s when it was closed meanwhile', () => {
    const { handles, handle, made } = promised();
    handles.remove(handle);
    expect(handles.fulfil(handle, made())).toBe(false);
  });

  it('lets those who wait hear of a lost session, and goes on', async () => {
    const { handles, handle, asked, use, made } = promised();
    const lost = new ConnectionLostError('lost');
    const before = use('a');
    handles.interrupted(lost);
    await expect(before).rejects.toBe(lost);
    const again = use('a');
    handles.fulfil(handle, made());
    await again;
    expect(asked).toEqual(['a real']);
  });
});
