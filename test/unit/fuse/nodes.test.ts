import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ascii, type ByteString } from '../../../src/base/bytes.js';
import { hashIno } from '../../../src/base/inode.js';
import type { Path } from '../../../src/base/path.js';
import { InodeNumbers } from '../../../src/fuse/inodes.js';
import { type Node, NodeTable } from '../../../src/fuse/nodes.js';
import { directoryAttributes } from '../../support/fake-operations.js';

const FILE = 0o100644;
const DIR = 0o040755;
const name = (text: string): ByteString => ascii(text);

function tableWith() {
  const table = new NodeTable();
  const dir = table.lookup(table.root, name('d'), DIR);
  const file = table.lookup(dir, name('f'), FILE);
  return { table, dir, file };
}

describe('node table', () => {
  it('finds paths through every rename above them', () => {
    const { table, dir, file } = tableWith();
    table.rename(table.root, name('d'), table.root, name('e'));
    expect(table.pathOf(file)).toBe('e/f');
    expect(table.find(ascii('e/f'))).toBe(file);
    expect(table.find(ascii('d/f'))).toBeUndefined();
    table.rename(dir, name('f'), table.root, name('g'));
    expect(table.pathOf(file)).toBe('g');
  });

  it('leaves an unlinked node nameless until it is forgotten', () => {
    const { table, dir, file } = tableWith();
    table.unlink(dir, name('f'));
    expect(table.get(file.id)).toBe(file);
    expect(table.pathOf(file)).toBeNull();
    table.forget(file.id, 1);
    expect(table.get(file.id)).toBeUndefined();
  });

  it('leaves a replaced node nameless', () => {
    const { table, dir, file } = tableWith();
    const other = table.lookup(dir, name('x'), FILE);
    table.rename(dir, name('x'), dir, name('f'));
    expect(table.pathOf(file)).toBeNull();
    expect(table.pathOf(other)).toBe('d/f');
  });

  it('keeps what was told of a directory that is removed or replaced here, and of nothing else', () => {
    const { table, dir, file } = tableWith();
    const [other, lost] = [
      table.lookup(table.root, name('o'), DIR),
      table.lookup(table.root, name('l'), DIR),
    ];
    for (const node of [dir, other, lost, file]) table.tell(node, directoryAttributes);
    expect(table.remainsOf(dir)).toBeNull();
    table.remove(dir, name('f'));
    table.remove(table.root, name('d'));
    table.unlink(table.root, name('l'));
    table.rename(table.root, name('new'), table.root, name('o'));
    const remains = [dir, other, lost, file].map((node) => table.remainsOf(node));
    expect(remains).toEqual([directoryAttributes, directoryAttributes, null, null]);
  });

  it('counts lookups, and never uses an id twice', () => {
    const { table, dir, file } = tableWith();
    expect(table.lookup(dir, name('f'), FILE)).toBe(file);
    table.forget(file.id, 1);
    expect(table.get(file.id)).toBe(file);
    table.forget(file.id, 1);
    expect(table.get(file.id)).toBeUndefined();
    expect(table.lookup(dir, name('f'), FILE).id).toBeGreaterThan(file.id);
  });

  it('keeps a forgotten directory while a child lives', () => {
    const { table, dir, file } = tableWith();
    table.forget(dir.id, 1);
    expect(table.pathOf(file)).toBe('d/f');
    table.forget(file.id, 1);
    expect(table.size).toBe(1);
  });

  it('gives the same node a second name by link', () => {
    const { table, dir, file } = tableWith();
    table.link(file, table.root, name('h'));
    expect(table.child(table.root, name('h'))).toBe(file);
    table.unlink(dir, name('f'));
    expect(table.pathOf(file)).toBe('h');
    table.rename(table.root, name('h'), table.root, name('i'));
    expect(table.pathOf(file)).toBe('i');
  });

  it('takes a name for one more of a node that is known by another of the names', () => {
    const { table, file } = tableWith();
    expect(table.lookup(table.root, name('h'), FILE, [ascii('missing'), ascii('d/f')] as Path[])).toBe(file);
    expect(table.lookup(table.root, name('e'), DIR, [ascii('d/f')] as Path[])).not.toBe(file);
    table.forget(file.id, 2);
    expect(table.find(ascii('h'))).toBeUndefined();
  });

  it('takes a name that came back with another type for another file', () => {
    const { table, dir, file } = tableWith();
    const made = table.lookup(dir, name('f'), DIR);
    expect(made).not.toBe(file);
    expect(made.ino).not.toBe(file.ino);
    expect(table.pathOf(file)).toBeNull();
  });

  it('survives a directory that is said to have moved below itself', () => {
    const { table, dir, file } = tableWith();
    const inner = table.lookup(dir, name('in'), DIR);
    table.rename(table.root, name('d'), inner, name('d'));
    expect(table.pathOf(dir)).toBeNull();
    expect(table.pathOf(file)).toBeNull();
  });
});

describe('inode numbers', () => {
  it('are the same after a remount', () => {
    expect(tableWith().file.ino).toBe(tableWith().file.ino);
  });

  it('are shown by a listing before anything is looked up', () => {
    const { table, dir } = tableWith();
    const listed = table.inoOf(dir, name('new'));
    expect(table.lookup(dir, name('new'), FILE).ino).toBe(listed);
  });

  it('follow a renamed directory with everything below it, past FORGET', () => {
    const { table, dir, file } = tableWith();
    table.rename(table.root, name('d'), table.root, name('e'));
    table.forget(file.id, 1);
    table.forget(dir.id, 1);
    const again = table.lookup(table.root, name('e'), DIR);
    expect(again.ino).toBe(dir.ino);
    expect(table.lookup(again, name('f'), FILE).ino).toBe(file.ino);
  });

  it('a new file under an old name gets another number, also when the renamed one was forgotten', () => {
    const { table, dir, file } = tableWith();
    table.rename(dir, name('f'), dir, name('g'));
    table.forget(file.id, 1);
    expect(table.lookup(dir, name('f'), FILE).ino).not.toBe(file.ino);
    expect(table.lookup(dir, name('g'), FILE).ino).toBe(file.ino);
  });

  it('come back when the file comes back to its name', () => {
    const { table, dir, file } = tableWith();
    table.rename(dir, name('f'), dir, name('g'));
    table.rename(dir, name('g'), dir, name('f'));
    table.forget(file.id, 1);
    expect(table.lookup(dir, name('f'), FILE).ino).toBe(file.ino);
  });

  it('remember a bounded number of renames', () => {
    const numbers = new InodeNumbers(2);
    for (const [index, text] of ['a', 'b', 'c'].entries()) numbers.remember(1, name(text), 100 + index);
    const choose = (text: string) => numbers.choose(1, name(text), () => false);
    expect([choose('a'), choose('b'), choose('c')]).toEqual([hashIno(1, name('a')), 101, 102]);
  });

  it('are exact, positive and spread', () => {
    const seen = new Set<number>();
    for (let index = 0; index < 100_000; index++) {
      const ino = hashIno(index % 7, name(`file-${index}`));
      expect(Number.isSafeInteger(ino) && ino > 1).toBe(true);
      seen.add(ino);
    }
    expect(seen.size).toBe(100_000);
  });
});

/** What the table must be, told plainly: every name by its directory's node, and nothing shared. */
interface ModelNode {
  node: Node;
  lookups: number;
  directory: boolean;
}

class Model {
  readonly table = new NodeTable();
  readonly nodes = new Map<number, ModelNode>();
  /** `directory id/name` to node id. */
  readonly names = new Map<string, number>();

  constructor() {
    this.nodes.set(1, { node: this.table.root, lookups: 1, directory: true });
  }

  pick(index: number, directory: boolean): ModelNode | undefined {
    const candidates = [...this.nodes.values()].filter((each) => each.directory === directory);
    return candidates[index % Math.max(1, candidates.length)];
  }

  paths(id: number, depth = 0): string[] {
    if (id === 1) return [''];
    if (depth > 20) return [];
    return [...this.names].flatMap(([key, child]) => {
      const [parent = '', last = ''] = key.split('/');
      if (child !== id) return [];
      return this.paths(Number(parent), depth + 1).map((path) => (path === '' ? last : `${path}/${last}`));
    });
  }

  isBelow(id: number, ancestor: number): boolean {
    if (id === ancestor) return true;
    return [...this.names].some(
      ([key, child]) => child === id && this.isBelow(Number(key.split('/')[0]), ancestor),
    );
  }

  sweep(): void {
    for (let changed = true; changed; ) {
      changed = false;
      for (const [id, each] of this.nodes) {
        if (each.lookups > 0 || [...this.names.keys()].some((key) => key.startsWith(`${id}/`))) continue;
        this.nodes.delete(id);
        for (const [key, child] of this.names) if (child === id) this.names.delete(key);
        changed = true;
      }
    }
  }

  check(): void {
    this.sweep();
    expect(this.table.size).toBe(this.nodes.size);
    const inos = new Set<number>();
    for (const [id, each] of this.nodes) {
      expect(this.table.get(id)).toBe(each.node);
      inos.add(each.node.ino);
      const paths = this.paths(id);
      const path = this.table.pathOf(each.node);
      if (paths.length === 0) expect(path).toBeNull();
      else expect(paths).toContain(path);
    }
    expect(inos.size, 'inode numbers are unique').toBe(this.nodes.size);
  }
}

type Step = readonly [kind: number, first: number, second: number, nameA: number, nameB: number];

function apply(model: Model, [kind, first, second, a, b]: Step): void {
  const { table, names, nodes } = model;
  const [nameA, nameB] = [`n${a}`, `n${b}`];
  const parent = model.pick(first, true);
  const other = model.pick(second, true);
  if (parent === undefined || other === undefined) return;
  const keyA = `${parent.node.id}/${nameA}`;
  const keyB = `${other.node.id}/${nameB}`;
  if (kind === 0) {
    const directory = second % 2 === 0;
    const node = table.lookup(parent.node, name(nameA), directory ? DIR : FILE);
    names.set(keyA, node.id);
    const known = nodes.get(node.id);
    if (known === undefined) nodes.set(node.id, { node, lookups: 1, directory });
    else known.lookups++;
  } else if (kind === 1) {
    const victim = model.pick(first, second % 2 === 0);
    if (victim === undefined || victim.node.id === 1) return;
    table.forget(victim.node.id, victim.lookups);
    victim.lookups = 0;
  } else if (kind === 2) {
    table.unlink(parent.node, name(nameA));
    names.delete(keyA);
  } else if (kind === 3) {
    const moved = names.get(keyA);
    if (moved !== undefined && model.isBelow(other.node.id, moved)) return;
    table.rename(parent.node, name(nameA), other.node, name(nameB));
    if (moved !== undefined && names.get(keyB) === moved) return;
    names.delete(keyA);
    if (moved === undefined) names.delete(keyB);
    else names.set(keyB, moved);
  } else {
    const file = model.pick(second, false);
    if (file === undefined) return;
    table.link(file.node, parent.node, name(nameA));
    names.set(keyA, file.node.id);
  }
}

describe('property', () => {
  it('agrees with the plain model whatever happens', () => {
    const index = fc.nat(11);
    const step = fc.tuple(fc.nat(4), index, index, fc.nat(3), fc.nat(3));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const model = new Model();
        for (const each of steps) {
          apply(model, each);
          model.check();
        }
        for (const each of [...model.nodes.values()]) {
          if (each.node.id === 1) continue;
          model.table.forget(each.node.id, each.lookups);
        }
        expect(model.table.size, 'everything forgotten').toBe(1);
      }),
      { numRuns: 300 },
    );
  });
});
