/** The tables of `idmap=file`. */
import { expect, it } from 'vitest';
import { OptionError } from '../../../src/config/errors.js';
import { parseIdFile } from '../../../src/config/id-file.js';

it('has a name and a number in each line, and comments', () => {
  const text = '# people\n\nroot:0\r\n  daemon: 12345 \nlast:4294967294';
  expect(parseIdFile(text, '/u')).toEqual([
    { name: 'root', id: 0 },
    { name: 'daemon', id: 12_345 },
    { name: 'last', id: 4_294_967_294 },
  ]);
});

it.each(['root', 'root:', ':5', 'root:x', 'root:-1', 'root:5:6', 'root:4294967295', 'root:1e3'])(
  '%s is refused',
  (line) => {
    expect(() => parseIdFile(`ok:1\n${line}\n`, '/u')).toThrow(
      new OptionError('/u, line 2: it is NAME:ID, with the number on the server'),
    );
  },
);
