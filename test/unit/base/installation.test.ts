import { expect, test } from 'vitest';
import { npmInstall } from '../../../src/base/installation.js';

test.each([
  ['/usr/lib/node_modules/remora-fs/', 'npm install -g x'],
  ['/home/me/app/node_modules/remora-fs', 'npm install x'],
  ['/home/me/remora', 'npm install x'],
])('what is missing beside %s', (directory, command) => {
  const project = '/home/me/app/package.json';
  expect(npmInstall('x', directory, (path) => path === project)).toBe(command);
});
