import { describe, expect, it } from 'vitest';
import { hostSettings, type Place } from '../../../src/cli/host-settings.js';
import { OptionError } from '../../../src/config/errors.js';
import { completeOptions, parseOptions } from '../../../src/config/parse.js';

const PLACE: Place = {
  local: { home: '/home/me', user: 'me', uid: 1000, hostname: 'here', environment: {} },
  accountHome: '/home/me',
  directory: '/start',
};
const BOX = { user: null, host: 'box', port: null };

const made = (
  text: string,
  bySsh = false,
  destination: typeof BOX | Parameters<typeof hostSettings>[0] = BOX,
) => hostSettings(destination, completeOptions(parseOptions([text]).given), bySsh, PLACE);

describe('what a connection is told of one host', () => {
  it('has defaults', () => {
    expect(made('').settings).toMatchObject({
      host: 'box',
      originalHost: 'box',
      user: 'me',
      port: 22,
      password: null,
      route: { hops: [], proxy: null },
      identityFiles: [],
      userKnownHostsFiles: ['/home/me/.ssh/known_hosts', '/home/me/.ssh/known_hosts2'],
    });
  });

  it('prefers what the source says to an option', () => {
    const { settings, options } = made('User=a,port=1', false, { user: 'b', host: 'box', port: 2 });
    expect(settings).toMatchObject({ user: 'b', port: 2 });
    expect(options).toMatchObject({ user: 'b', port: 2 });
  });

  it('makes paths absolute and leaves words alone', () => {
    const { settings } = made(
      'IdentityFile=k,IdentityFile=~/k,IdentityFile=none,UserKnownHostsFile=kh none /abs,IdentityAgent=SSH_AUTH_SOCK',
    );
    expect(settings.identityFiles).toEqual(['/start/k', '/home/me/k', 'none']);
    expect(settings.userKnownHostsFiles).toEqual(['/start/kh', 'none', '/abs']);
    expect(settings.identityAgent).toBe('SSH_AUTH_SOCK');
    expect(made('IdentityAgent=none').settings.identityAgent).toBe('none');
    expect(made('IdentityAgent=$SOCK').settings.identityAgent).toBe('$SOCK');
    expect(made('IdentityAgent=sock').settings.identityAgent).toBe('/start/sock');
  });

  const TOKENS =
    'HostName=%h.example,User=u,IdentityFile=~/%h-%n-%r,UserKnownHostsFile=/kh-%h,ControlPath=/c-%n';

  it('expands all tokens where ssh has not', () => {
    expect(made(TOKENS).settings).toMatchObject({
      host: 'box.example',
      identityFiles: ['/home/me/box.example-box-u'],
      userKnownHostsFiles: ['/kh-box.example'],
      controlPath: '/c-box',
    });
  });

  it('expands only those that ssh leaves where it has', () => {
    expect(made(TOKENS.replace('%h.example', '100%'), true).settings).toMatchObject({
      host: '100%',
      identityFiles: ['/home/me/100%-box-u'],
      userKnownHostsFiles: ['/kh-%h'],
      controlPath: '/c-%n',
    });
  });

  it('reads the hosts to go through', () => {
    expect(made('ProxyJump=a@%h-gate:1\\,b').jumps).toEqual([
      { user: 'a', host: 'box-gate', port: 1 },
      { user: null, host: 'b', port: null },
    ]);
  });

  it.each(['HostName=-oProxyCommand=x', 'User=-x', 'HostName=a b'])('refuses %s', (text) => {
    expect(() => made(text)).toThrow(OptionError);
  });
});
