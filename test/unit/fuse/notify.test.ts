import { describe, expect, it } from 'vitest';
import { ascii } from '../../../src/base/bytes.js';
import { NodeTable } from '../../../src/fuse/nodes.js';
import { KernelNotifier } from '../../../src/fuse/notify.js';
import { FUSE_EXPIRE_ONLY } from '../../../src/fuse/protocol/constants.js';
import { invalEntry, invalInode } from '../../../src/fuse/protocol/replies.js';
import { settle } from '../../support/fuse-wire.js';

function setup() {
  const nodes = new NodeTable();
  const dir = nodes.lookup(nodes.root, ascii('d'), 0o040755);
  const file = nodes.lookup(dir, ascii('f'), 0o100644);
  const sent: Buffer[] = [];
  const gates: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const notifier = new KernelNotifier(
    nodes,
    (message) =>
      new Promise<void>((resolve, reject) => {
        sent.push(message);
        gates.push({ resolve, reject });
      }),
  );
  return { nodes, dir, file, sent, gates, notifier };
}

describe('notifications', () => {
  it('go out one after another, in order, and wait for nobody', async () => {
    const { dir, sent, gates, notifier } = setup();
    notifier.invalidateEntry(ascii('d/f'));
    notifier.invalidateData(ascii('d'));
    await settle();
    expect(sent).toEqual([invalEntry(dir.id, ascii('f'))]);
    gates[0]?.resolve();
    await settle();
    expect(sent.slice(1)).toEqual([invalInode(dir.id, true)]);
  });

  it('a name the kernel holds as missing can be taken back', async () => {
    const { dir, sent, notifier } = setup();
    notifier.invalidateAbsence(ascii('d/not-there'));
    await settle();
    expect(sent).toEqual([invalEntry(dir.id, ascii('not-there'), FUSE_EXPIRE_ONLY)]);
  });

  it('what the kernel does not know is not told', async () => {
    const { sent, notifier } = setup();
    notifier.invalidateEntry(ascii(''));
    notifier.invalidateEntry(ascii('other/f'));
    notifier.invalidateData(ascii('d/other'));
    notifier.invalidateData(ascii('other'));
    notifier.invalidateAttributes(ascii('d/other'));
    notifier.invalidateAttributes(ascii('other/f'));
    await settle();
    expect(sent).toEqual([]);
  });

  it('attributes are taken back without the pages, and apart from them', async () => {
    const { file, sent, gates, notifier } = setup();
    notifier.invalidateAttributes(ascii('d/f'));
    notifier.invalidateData(ascii('d/f'));
    await settle();
    gates[0]?.resolve();
    await settle();
    expect(sent).toEqual([invalInode(file.id, false), invalInode(file.id, true)]);
  });

  it('many at once of which the kernel knows few cost little and send little', async () => {
    const { nodes, dir, sent, gates, notifier } = setup();
    const known = nodes.lookup(dir, ascii('known'), 0o100644);
    const before = nodes.size;
    for (let index = 0; index < 100_000; index++) notifier.invalidateAttributes(ascii(`d/entry-${index}`));
    for (let times = 0; times < 3; times++) notifier.invalidateAttributes(ascii('d/known'));
    await settle();
    gates[0]?.resolve();
    await settle();
    expect(nodes.size).toBe(before);
    expect(sent).toEqual([invalInode(known.id, false), invalInode(known.id, false)]);
    expect(notifier.queued).toBe(0);
  });

  it('a name that is another file’s is taken from its node at once', async () => {
    const { nodes, file, notifier } = setup();
    notifier.invalidateEntry(ascii('d/f'));
    expect(nodes.pathOf(file)).toBeNull();
    expect(nodes.find(ascii('d/f'))).toBeUndefined();
  });

  it('repeats that wait are told once', async () => {
    const { file, sent, gates, notifier } = setup();
    notifier.invalidateEntry(ascii('d/other'));
    for (let times = 0; times < 5; times++) notifier.invalidateData(ascii('d/f'));
    expect(notifier.queued).toBe(1);
    gates[0]?.resolve();
    await settle();
    expect(sent[1]).toEqual(invalInode(file.id, true));
  });

  it('one that is on its way does not swallow the next', async () => {
    const { sent, gates, notifier } = setup();
    notifier.invalidateEntry(ascii('d'));
    notifier.invalidateEntry(ascii('d'));
    gates[0]?.resolve();
    await settle();
    expect(sent).toHaveLength(2);
  });

  it('a refusal (ENOENT) stops nothing', async () => {
    const { sent, gates, notifier } = setup();
    notifier.invalidateEntry(ascii('d/f'));
    notifier.invalidateEntry(ascii('d'));
    gates[0]?.reject(new Error('ENOENT'));
    await settle();
    expect(sent).toHaveLength(2);
  });

  it('a kernel that is stuck does not make the queue grow without bound', () => {
    const { notifier } = setup();
    for (let index = 0; index < 70_000; index++) notifier.invalidateEntry(ascii(`d/${index}`));
    expect(notifier.queued).toBe(65_536);
  });

  it('nothing is sent after the end', async () => {
    const { sent, notifier } = setup();
    notifier.close();
    notifier.invalidateEntry(ascii('d'));
    await settle();
    expect(sent).toEqual([]);
  });

  it('of a tree tell every node below, and the names that were said to be missing there', async () => {
    const { nodes, dir, file, sent, gates, notifier } = setup();
    const other = nodes.lookup(nodes.root, ascii('other'), 0o040755);
    notifier.absent(dir, ascii('missing'));
    notifier.absent(other, ascii('elsewhere'));
    // Made since: its entry may have something mounted on it.
    notifier.absent(dir, ascii('f'));
    let isTold = false;
    void notifier.invalidateTree(ascii('d')).then(() => {
      isTold = true;
    });
    for (let at = 0; at < 3; at += 1) {
      expect(isTold, 'resolves when the kernel was told').toBe(false);
      await settle();
      // Refused: it knows no such thing any more.
      gates[at]?.reject(new Error('ENOENT'));
    }
    await settle();
    expect(isTold).toBe(true);
    expect(sent).toEqual([
      invalEntry(dir.id, ascii('missing'), FUSE_EXPIRE_ONLY),
      invalInode(dir.id, true),
      invalInode(file.id, true),
    ]);
    await notifier.invalidateTree(ascii('nowhere'));
    expect(sent).toHaveLength(3);
  });

  it('remember the last ten thousand missing names', async () => {
    const { nodes, sent, gates, notifier } = setup();
    for (let at = 0; at <= 10_000; at += 1) notifier.absent(nodes.root, ascii(`n${at}`));
    void notifier.invalidateTree(ascii('n0'));
    void notifier.invalidateTree(ascii('n1'));
    await settle();
    expect(sent).toEqual([invalEntry(nodes.root.id, ascii('n1'), FUSE_EXPIRE_ONLY)]);
    gates[0]?.resolve();
  });
});
