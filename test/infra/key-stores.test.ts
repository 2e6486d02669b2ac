/** What happens to keys when writes, copies and whole stores are lost, restored or wrong. */
import { describe, expect, it } from 'vitest';
import type { Blobs } from '../../domain/ports.ts';
import { blobKeys } from '../../infra/blob-keys.ts';
import { decryptBytes, encryptBytes, makeKeyRing } from '../../infra/key-ring.ts';
import { recordingLog } from '../support/embedded.ts';
import { dayMs, keyBlob } from '../support/keys.ts';
import { memoryTable, rowName } from '../support/memory-keys.ts';
import { memoryBlobs } from '../support/memory-ports.ts';

const master = new Uint8Array(32).fill(7);
const at = Date.parse('2026-01-01T00:00:00Z');
const dead = 'the process died here';

function makeWorld() {
  const table = memoryTable();
  const blobs = memoryBlobs();
  const { log, lines } = recordingLog();
  /** A process of its own. `writes`: how many writes it makes before it dies. */
  const process = ({ days = 0, writes = Number.POSITIVE_INFINITY } = {}) => {
    const write = <A extends unknown[], R>(work: (...args: A) => Promise<R>) => {
      return async (...args: A) => {
        if (writes-- <= 0) throw new Error(dead);
        return work(...args);
      };
    };
    return makeKeyRing({
      wrap: async (key, context) => encryptBytes(master, key, context),
      unwrap: async (wrapped, context) => decryptBytes(master, wrapped, context),
      table: { ...table, putIfAbsent: write(table.putIfAbsent), replace: write(table.replace) },
      blobs: { ...blobs, put: write(blobs.put), delete: write(blobs.delete) },
      log,
      now: () => at + days * dayMs,
      graceDays: 7,
      sign: async () => new Uint8Array(),
      publicKey: async () => '',
    });
  };
  return {
    table,
    blobs,
    lines,
    process,
    row: () => table.keys.get('acc/'),
    blob: () => blobs.stored.get(keyBlob('acc')),
  };
}

async function madeWorld() {
  const world = makeWorld();
  await world.process().createAccount('acc');
  const key = await world.process().accountKey('acc');
  if (!key) throw new Error('the key was not made');
  return { ...world, key };
}

async function sweepRound(keys: ReturnType<ReturnType<typeof makeWorld>['process']>) {
  for (let cursor = await keys.sweep(); cursor !== null; ) cursor = await keys.sweep(cursor);
}

const errorsIn = (lines: { level: string; message: string }[]) =>
  lines.filter(({ level }) => level === 'error').map(({ message }) => message);

/** Runs `work` in processes that die after 0, 1, 2 … writes. Calls `check` after each death, on a new world. */
async function dyingAfterEachWrite<W extends ReturnType<typeof makeWorld>>(
  make: () => Promise<W>,
  days: number,
  work: (keys: ReturnType<W['process']>) => Promise<unknown>,
  check: (world: W) => Promise<void>,
): Promise<void> {
  for (let writes = 0; ; writes++) {
    const world = await make();
    const died = await work(world.process({ days, writes }) as never).then(
      () => false,
      (error) => String(error).includes(dead) || Promise.reject(error),
    );
    await check(world);
    if (!died) {
      expect(writes).toBeGreaterThan(1);
      return;
    }
  }
}

describe('a crash between the writes', () => {
  it('of a creation leaves one key, for the same account', async () => {
    const make = async () => makeWorld();
    const check = async (world: ReturnType<typeof makeWorld>) => {
      await world.process().createAccount('acc');
      const key = await world.process().accountKey('acc');
      expect(key).toHaveLength(32);
      expect(await world.process().compare('acc')).toEqual([]);
      world.table.keys.clear();
      expect(await world.process().accountKey('acc')).toEqual(key);
    };
    await dyingAfterEachWrite(make, 0, (keys) => keys.createAccount('acc'), check);
  });

  it('of a scheduled destruction loses no key, and a repeat schedules it', async () => {
    await dyingAfterEachWrite(
      madeWorld,
      0,
      (keys) => keys.destroyAccount('acc'),
      async ({ process, key }) => {
        const isScheduled = (await process({ days: 1 }).accountKey('acc')) === undefined;
        const destroysAt = at + (isScheduled ? 7 : 8) * dayMs;
        expect(await process({ days: 1 }).destroyAccount('acc')).toBe(destroysAt);
        expect(await process().compare('acc')).toEqual([]);
        expect(await process().accountKey('acc')).toBeUndefined();
        expect(await process().restoreAccount('acc')).toBe(true);
        expect(await process().accountKey('acc')).toEqual(key);
      },
    );
  });

  it('of a restore loses no key', async () => {
    const make = async () => {
      const world = await madeWorld();
      await world.process().destroyAccount('acc');
      return world;
    };
    await dyingAfterEachWrite(
      make,
      1,
      (keys) => keys.restoreAccount('acc'),
      async ({ process, key }) => {
        expect(await process({ days: 2 }).restoreAccount('acc')).toBe(true);
        await sweepRound(process({ days: 30 }));
        expect(await process({ days: 30 }).accountKey('acc')).toEqual(key);
      },
    );
  });

  it('of the final destruction leaves no copy after the next sweep', async () => {
    const make = async () => {
      const world = await madeWorld();
      await world.process().destroyAccount('acc');
      return world;
    };
    const check = async ({ process, row, blob }: Awaited<ReturnType<typeof make>>) => {
      expect(await process({ days: 8 }).accountKey('acc')).toBeUndefined();
      await sweepRound(process({ days: 9 }));
      expect(row()).toEqual({ destroyed: true });
      expect(Buffer.from(blob() ?? []).toString()).toBe('{"destroyed":true}');
    };
    // The sweep logs the error of one key and goes on, so it never dies itself.
    for (let writes = 0; writes < 4; writes++) {
      const world = await make();
      await sweepRound(world.process({ days: 8, writes }));
      await check(world);
    }
  });
});

describe('a wrong restore', () => {
  it('from before the key existed brings no new key', async () => {
    const { table, process, key, lines } = await madeWorld();
    table.keys.clear();
    await process().createAccount('acc');
    expect(await process().accountKey('acc')).toEqual(key);
    expect(errorsIn(lines)).toEqual(['a copy of a key was missing or old, and was written again']);
  });

  it('of the table from before a destruction does not make the key usable, and the sweep destroys it again', async () => {
    const { table, process, row } = await madeWorld();
    const old = new Map(table.keys);
    await process().destroyAccount('acc');
    await sweepRound(process({ days: 8 }));
    for (const [name, key] of old) table.keys.set(name, key);
    expect(await process({ days: 9 }).accountKey('acc')).toBeUndefined();
    expect(await process({ days: 9 }).restoreAccount('acc')).toBe(false);
    expect(await process({ days: 9 }).compare('acc')).toEqual([{ subject: null, fault: 'half destroyed' }]);
    await sweepRound(process({ days: 9 }));
    await sweepRound(process({ days: 17 }));
    expect(row()).toEqual({ destroyed: true });
  });

  it.each(['table', 'blobs'])('of the %s from before a schedule forgets no destruction', async (store) => {
    const { table, blobs, process, row } = await madeWorld();
    const old = [new Map(table.keys), new Map(blobs.stored)] as const;
    await process().destroyAccount('acc');
    if (store === 'table') for (const [name, key] of old[0]) table.keys.set(name, key);
    else for (const [name, bytes] of old[1]) blobs.stored.set(name, bytes);
    expect(await process().accountKey('acc')).toBeUndefined();
    await sweepRound(process({ days: 8 }));
    expect(row()).toEqual({ destroyed: true });
  });

  it('from the grace does not destroy a key whose destruction was taken back', async () => {
    const { table, process, key } = await madeWorld();
    await process().destroyAccount('acc');
    const old = new Map(table.keys);
    await process().restoreAccount('acc');
    for (const [name, key] of old) table.keys.set(name, key);
    await sweepRound(process({ days: 30 }));
    expect(await process({ days: 30 }).accountKey('acc')).toEqual(key);
  });
});

describe('a wrong copy', () => {
  it.each(['table', 'blobs'])(
    'with a tombstone in the %s makes the key unusable and destroys nothing in the grace',
    async (store) => {
      const { table, blobs, process, key, lines } = await madeWorld();
      if (store === 'table') table.keys.set('acc/', { destroyed: true });
      else blobs.stored.set(keyBlob('acc'), Buffer.from('{"destroyed":true}'));
      expect(await process().accountKey('acc')).toBeUndefined();
      await sweepRound(process({ days: 1 }));
      await sweepRound(process({ days: 7 }));
      expect(errorsIn(lines)).toContain(
        'a key is destroyed in one store only, and is destroyed in the other after the grace',
      );
      // The operator deletes the stray tombstone.
      if (store === 'table') table.keys.delete('acc/');
      else blobs.stored.delete(keyBlob('acc'));
      expect(await process({ days: 7 }).restoreAccount('acc')).toBe(true);
      expect(await process().accountKey('acc')).toEqual(key);
    },
  );

  it('with a destruction whose time is over destroys nothing in a new grace', async () => {
    const { table, process, row, key } = await madeWorld();
    const live = row();
    if (!live || 'destroyed' in live) throw new Error('the world has no key');
    table.keys.set('acc/', { ...live, revision: 9, destroysAt: at });
    expect(await process({ days: 10 }).accountKey('acc')).toBeUndefined();
    await sweepRound(process({ days: 10 }));
    await sweepRound(process({ days: 16 }));
    expect(await process({ days: 16 }).restoreAccount('acc')).toBe(true);
    expect(await process().accountKey('acc')).toEqual(key);
  });

  it('with another key is refused, and neither copy changes', async () => {
    const { table, blobs, process, row } = await madeWorld();
    const other = await madeWorld();
    const stray = other.row();
    if (!stray) throw new Error('the other world has no key');
    table.keys.set('acc/', stray);
    const blob = blobs.stored.get(keyBlob('acc'));
    await expect(process().accountKey('acc')).rejects.toThrow('different keys');
    await expect(process().createAccount('acc')).rejects.toThrow('different keys');
    await expect(process().destroyAccount('acc')).rejects.toThrow('different keys');
    await sweepRound(process({ days: 30 }));
    expect(row()).toEqual(stray);
    expect(blobs.stored.get(keyBlob('acc'))).toEqual(blob);
    expect(await process().compare('acc')).toEqual([{ subject: null, fault: 'different keys' }]);
  });

  it('that is damaged is never taken for a tombstone', async () => {
    const { blobs, process, key } = await madeWorld();
    for (const damaged of ['', '{', 'null', '{"wrapped":"AA=="}', '{"destroyed":1}']) {
      blobs.stored.set(keyBlob('acc'), Buffer.from(damaged));
      await expect(process().accountKey('acc')).rejects.toThrow('is damaged. Delete it');
      expect(await process().compare('acc')).toEqual([{ subject: null, fault: 'unreadable' }]);
    }
    blobs.stored.delete(keyBlob('acc'));
    expect(await process().accountKey('acc')).toEqual(key);
  });
});

describe('the sweep', () => {
  it('repairs keys that nobody reads, in pages', async () => {
    const { table, blobs, process, lines } = makeWorld();
    await process().createAccount('acc');
    for (let i = 0; i < 1200; i++) await process().createSubject('acc', `usr_${i}`);
    for (let i = 0; i < 1200; i += 100) {
      if (i % 200) table.keys.delete(rowName({ account: 'acc', subject: `usr_${i}` }));
      else blobs.stored.delete(keyBlob('acc', `usr_${i}`));
    }
    await sweepRound(process());
    expect(await process().compare('acc')).toEqual([]);
    expect(errorsIn(lines)).toHaveLength(12);
  });

  it('goes on after a key that cannot be read', async () => {
    const { blobs, process, lines } = await madeWorld();
    await process().createAccount('acc_2');
    await process().destroyAccount('acc_2');
    blobs.stored.set(keyBlob('acc'), Buffer.from(''));
    await sweepRound(process({ days: 8 }));
    expect(errorsIn(lines)).toContain('a key could not be checked');
    expect(await process().destroyAccount('acc_2')).toBe(null);
  });

  it('leaves a restore that began before the end of the grace time to finish', async () => {
    const { process, key } = await madeWorld();
    await process().destroyAccount('acc');
    await sweepRound(process({ days: 7 + 0.5 / 24 }));
    expect(await process({ days: 6.999 }).restoreAccount('acc')).toBe(true);
    expect(await process().accountKey('acc')).toEqual(key);
  });
});

it('a tombstone leaves no key behind when a reader puts the key back in between', async () => {
  const { blobs, blob } = await madeWorld();
  const held = blob() ?? new Uint8Array();
  let deletions = 0;
  const racing: Blobs = {
    ...blobs,
    async delete(keys) {
      await blobs.delete(keys);
      if (++deletions === 1) blobs.stored.set(keyBlob('acc'), held);
    },
  };
  await blobKeys(racing).replace({ account: 'acc' }, { destroyed: true });
  expect(deletions).toBe(2);
  expect(Buffer.from(blob() ?? []).toString()).toBe('{"destroyed":true}');
});
