import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { NodeTable } from '../../../src/fuse/nodes.js';
import { OpenFiles } from '../../../src/fuse/open-files.js';

describe('the listing that the kernel keeps', () => {
  const nodes = new NodeTable();
  const directory = nodes.lookup(nodes.root, ascii('d'), 0o040755);

  it('is filled anew, or kept when it is the same', () => {
    const open = new OpenFiles();
    expect(open.addDirectory(1, directory, false)).toBe('fill');
    open.removeDirectory(1);
    expect(open.addDirectory(2, directory, true)).toBe('keep');
    expect(open.addDirectory(3, directory, true)).toBe('keep');
  });

  it('is never made of two: who brings another while it is open does not fill it', () => {
    const open = new OpenFiles();
    expect(open.addDirectory(1, directory, false)).toBe('fill');
    expect(open.addDirectory(2, directory, false)).toBe('none');
    expect(open.addDirectory(3, nodes.root, false)).toBe('fill');
  });

  it('is not trusted after that, until one fills it alone', () => {
    const open = new OpenFiles();
    open.addDirectory(1, directory, false);
    open.addDirectory(2, directory, false);
    open.removeDirectory(1);
    expect(open.addDirectory(3, directory, true)).toBe('none');
    open.removeDirectory(2);
    open.removeDirectory(3);
    expect(open.addDirectory(4, directory, true)).toBe('fill');
    open.removeDirectory(4);
    expect(open.addDirectory(5, directory, true)).toBe('keep');
  });
});
