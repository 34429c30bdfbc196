import { describe, expect, it } from 'vitest';
import { cacheOwner } from '../../../src/cli/cache-directory.js';
import { completeOptions, parseOptions } from '../../../src/config/parse.js';
import { settings } from '../../support/ssh-fixture.js';

const options = (text = '') => completeOptions(parseOptions([text]).given);

describe('whose content in a cache_dir is', () => {
  const mine = cacheOwner(settings(22), 'SHA256:abc', options());

  it('is the same for every mount of a login', () => {
    expect(cacheOwner(settings(22), 'SHA256:abc', options('ro,subdir=x,cache_size=1M'))).toBe(mine);
  });

  it.each([
    ['login', cacheOwner(settings(22, { user: 'alice' }), 'SHA256:abc', options())],
    ['host', cacheOwner(settings(22, { host: '127.0.0.2' }), 'SHA256:abc', options())],
    ['port', cacheOwner(settings(23), 'SHA256:abc', options())],
    ['host key', cacheOwner(settings(22), 'SHA256:xyz', options())],
    ['way to the host key', cacheOwner(settings(22), null, options())],
    ['SFTP server', cacheOwner(settings(22, { sftpServer: 'sudo sftp-server' }), 'SHA256:abc', options())],
    ['look of owners', cacheOwner(settings(22), 'SHA256:abc', options('uid=5'))],
    ['look of permissions', cacheOwner(settings(22), 'SHA256:abc', options('umask=022'))],
  ])('is another for another %s', (_what, other) => {
    expect(other).not.toBe(mine);
  });
});
