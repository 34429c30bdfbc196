import { expect, test } from 'vitest';
import { askpassOf } from '../../../src/cli/asker.js';

const PROGRAM = { SSH_ASKPASS: '/ask' };
const SCREEN = { ...PROGRAM, DISPLAY: ':0' };

test.each([
  { what: 'nothing is set', env: {}, withTerminal: null, without: null },
  { what: 'there is no screen', env: PROGRAM, withTerminal: null, without: null },
  { what: 'there is a screen', env: SCREEN, withTerminal: null, without: '/ask' },
  {
    what: 'Wayland is there',
    env: { ...PROGRAM, WAYLAND_DISPLAY: 'w' },
    withTerminal: null,
    without: '/ask',
  },
  {
    what: 'it is preferred',
    env: { ...SCREEN, SSH_ASKPASS_REQUIRE: 'prefer' },
    withTerminal: '/ask',
    without: '/ask',
  },
  {
    what: 'it is preferred, without a screen',
    env: { ...PROGRAM, SSH_ASKPASS_REQUIRE: 'prefer' },
    withTerminal: null,
    without: null,
  },
  {
    what: 'it is forced',
    env: { ...PROGRAM, SSH_ASKPASS_REQUIRE: 'force' },
    withTerminal: '/ask',
    without: '/ask',
  },
  {
    what: 'it is forbidden',
    env: { ...SCREEN, SSH_ASKPASS_REQUIRE: 'never' },
    withTerminal: null,
    without: null,
  },
  {
    what: 'no program is named',
    env: { SSH_ASKPASS: '', DISPLAY: ':0', SSH_ASKPASS_REQUIRE: 'force' },
    withTerminal: null,
    without: null,
  },
])('who asks when $what', ({ env, withTerminal, without }) => {
  expect(askpassOf(env, true)).toBe(withTerminal);
  expect(askpassOf(env, false)).toBe(without);
});
