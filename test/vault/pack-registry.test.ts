import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packBlobKey } from '../../vault/pack.ts';
import {
  checkPacks,
  lostPacks,
  type PackState,
  recordDamage,
  registeredKey,
  registerPack,
} from '../../vault/pack-registry.ts';
import { account, memoryVault } from './vault-fixture.ts';

type Vault = ReturnType<typeof memoryVault>;
const bytes = 3;

async function register(vault: Vault, pack: string, state: PackState): Promise<void> {
  await registerPack(vault, pack, { state, bytes, epoch: 1, run: 'run_1' });
}

async function stateOf({ records }: Vault, pack: string) {
  return (await records.get({ pk: `packs/${account}`, sk: pack }))?.data.state;
}

/** Registers packs, and has a check find them lost. */
async function lose(vault: Vault, packs: string[]): Promise<void> {
  for (const pack of packs) await register(vault, pack, 'live');
  await checkPacks(vault, 0);
}

const packId = (n: number) => `${n % 3 ? 'pak' : 'man'}_${n.toString(32).padStart(26, '0')}`;
const packIds = (many: number) => Array.from({ length: many }, (_, n) => packId(n));

describe('the pack registry', () => {
  it('knows a pack as lost exactly while it is not stored in its size, and as damaged for ever', async () => {
    /** The size of the blob at the check, when a read found damage, and later. */
    const size = fc.constantFrom(undefined, bytes - 1, bytes);
    const packs = fc.array(
      fc.record({ id: fc.nat(5000), atCheck: size, atRead: fc.option(size, { nil: null }), later: size }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(packs, async (all) => {
        const vault = memoryVault();
        const known = new Map(all.map((pack) => [packId(pack.id), pack]));
        const store = async (pack: string, length: number | undefined) => {
          const key = registeredKey(account, pack);
          await (length === undefined ? vault.blobs.delete([key]) : vault.blobs.put(key, new Uint8Array(length)));
        };
        for (const [pack, { atCheck }] of known) {
          await register(vault, pack, 'live');
          await store(pack, atCheck);
        }
        await checkPacks(vault, 0);
        for (const [pack, { atRead }] of known) {
          if (atRead === null) continue;
          await store(pack, atRead);
          await recordDamage(vault, pack, 0);
        }
        for (const [pack, { later }] of known) await store(pack, later);
        const found = await lostPacks(vault, 0);
        for (const [pack, { atCheck, atRead, later }] of known) {
          const isDamaged = atRead === bytes;
          // Packs that the last check found are not checked again.
          const isLost = (atRead === null ? atCheck : atRead) !== bytes && later !== bytes;
          expect(found.has(pack), pack).toBe(isLost || isDamaged);
          expect(await stateOf(vault, pack), pack).toBe(isDamaged ? 'damaged' : isLost ? 'lost' : 'live');
        }
        const listed = (await vault.records.query(`packs-lost/${account}`, { limit: 1000 })).items;
        expect(new Set(listed.map(({ sk }) => sk))).toEqual(found);
        await checkPacks(vault, 0);
        for (const pack of found) expect(await stateOf(vault, pack), pack).not.toBe('live');
      }),
    );
  });

  it('checks many lost packs again page by page, a few at once', async () => {
    const vault = memoryVault();
    const packs = packIds(2500);
    await lose(vault, packs);
    let open = 0;
    let maxOpen = 0;
    let longest = 0;
    const blobs = {
      ...vault.blobs,
      async size(key: string) {
        maxOpen = Math.max(maxOpen, ++open);
        await new Promise(setImmediate);
        open--;
        return vault.blobs.size(key);
      },
    };
    const records = {
      ...vault.records,
      async getMany(keys: { pk: string; sk: string }[]) {
        longest = Math.max(longest, keys.length);
        return vault.records.getMany(keys);
      },
    };
    expect((await lostPacks({ ...vault, blobs, records }, 0)).size).toBe(packs.length);
    expect(maxOpen).toBeGreaterThan(1);
    expect(maxOpen).toBeLessThanOrEqual(16);
    expect(longest).toBe(1000);
  });

  it('lists the packs in a full check, and asks for the sizes only of those that the list lacks', async () => {
    const vault = memoryVault();
    const packs = packIds(50);
    for (const pack of packs) await vault.blobs.put(registeredKey(account, pack), new Uint8Array(bytes));
    await lose(vault, packs);
    expect(await lostPacks(vault, 0)).toEqual(new Set());
    const missing = packs.filter((_, n) => n % 5 === 0);
    await vault.blobs.delete(missing.map((pack) => registeredKey(account, pack)));
    const asked: string[] = [];
    const size = (key: string) => {
      asked.push(key);
      return vault.blobs.size(key);
    };
    await checkPacks({ ...vault, blobs: { ...vault.blobs, size } }, 0);
    expect(asked).toEqual(missing.map((pack) => registeredKey(account, pack)).sort());
    expect(await lostPacks(vault, 0)).toEqual(new Set(missing));
  });

  it('fails when the size of a lost pack cannot be read, and keeps it lost', async () => {
    const vault = memoryVault();
    const pack = packId(1);
    await lose(vault, [pack]);
    await vault.blobs.put(packBlobKey(account, pack), new Uint8Array(bytes));
    const size = () => Promise.reject(new Error('the store does not answer'));
    await expect(lostPacks({ ...vault, blobs: { ...vault.blobs, size } }, 0)).rejects.toThrow(/does not answer/);
    expect(await stateOf(vault, pack)).toBe('lost');
  });
});
