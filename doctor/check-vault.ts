/**
 * Checks an account's vault: it holds every backup that the log names, and no record of the chunk index points to
 * wrong content.
 */

import type { ChunkIndex, Records } from '../domain/ports.ts';
import { encryptedSize, readExport } from '../vault/exports.ts';
import type { ReaderContext } from '../vault/metadata.ts';
import { type PackRecord, registeredKey, registeredPacks, storedPacks } from '../vault/pack-registry.ts';
import { getErrors } from '../vault/run-errors.ts';
import { checkIdIndexes, type NamedIndex } from './check-id-index.ts';
import { checkManifests, type NamedManifest } from './check-manifests.ts';
import { checkedPacks } from './check-packs.ts';
import { type Count, type Finding, failure, info } from './finding.ts';
import { counted, countUnused, pairs, reasonOf } from './reading.ts';

/** The objects that the vault must hold, according to the log. */
export type VaultLog = {
  manifests: NamedManifest[];
  /** The id index of the newest restore point of each backup chain. */
  idIndexes: NamedIndex[];
  /** Error lists of runs: the number of pages, and of errors on all pages. */
  errorLists: { runId: string; pages: number; errors: number }[];
  /** Sizes of the zips that have not expired, by blob key. */
  exports: Map<string, number>;
  /** Packs that open runs may still name. */
  mayBeNamed: Set<string>;
};

export type VaultChecks = {
  /** Reads and decrypts all content. Otherwise only roots, segments, footers and sizes are checked. */
  readData: boolean;
  count: Count;
  /** How many checked nodes, segments and contents it remembers. More are checked again. Tests set it. */
  maxRemembered?: number;
};

export async function* checkVault(
  vault: ReaderContext & { records: Records; chunks: ChunkIndex },
  log: VaultLog,
  { readData, count, maxRemembered }: VaultChecks,
): AsyncGenerator<Finding> {
  const { account, keys, blobs, records, chunks } = vault;
  // Vault readers cache by context. A new context makes sure that everything is read again.
  const context = { account, keys, blobs };
  const packs = checkedPacks(context, count);
  const usedMetadata = new Set<string>();
  yield* checkManifests(context, log.manifests, { packs, readData, count, usedMetadata, maxRemembered });
  yield* checkIdIndexes(context, log.idIndexes, { count, usedMetadata });
  const damaged = new Set<string>();
  for await (const { pack, state } of registeredPacks({ account, records, blobs }))
    if (state === 'damaged') damaged.add(pack);
  // A damaged pack may have been replaced by a copy.
  const isRead = (pack: string) => readData || damaged.has(pack);
  yield* packs.check(chunks, { readData: isRead, mayBeNamed: log.mayBeNamed });
  const isUsed = (pack: string) => usedMetadata.has(pack) || packs.isNeeded(pack) || log.mayBeNamed.has(pack);
  yield* checkRegistry(context, records, isUsed, count);
  for (const list of log.errorLists) yield* checkErrors(context, list, count);
  for (const [blob, size] of log.exports) yield* checkExport(context, blob, size, readData, count);
}

type RegisteredPack = PackRecord & { pack: string; key: string };

/**
 * Every registered pack that is in use is stored with its size. A run that crashed, or lost to a concurrent worker,
 * leaves packs that nothing uses.
 */
async function* checkRegistry(
  context: ReaderContext,
  records: Records,
  isUsed: (pack: string) => boolean,
  count: Count,
): AsyncGenerator<Finding> {
  const { account, blobs } = context;
  async function* registered(): AsyncGenerator<RegisteredPack> {
    for await (const record of registeredPacks({ account, records, blobs }))
      yield { ...record, key: registeredKey(account, record.pack) };
  }
  const unused = countUnused('manifest');
  for await (const [record, blob] of pairs(registered(), storedPacks(context))) {
    const id = blob?.key.slice(blob.key.lastIndexOf('/') + 1) ?? '';
    if (blob?.key.startsWith('manifests/') && !isUsed(id)) unused.add(id, blob.size);
    if (!record) continue;
    count('pack-registry');
    const finding = await findingOf(context, record, isUsed(record.pack), blob?.size);
    if (finding) yield finding;
  }
  const detail = unused.text();
  if (detail) yield info('manifest', account, detail);
}

async function findingOf(
  { blobs }: ReaderContext,
  { pack, key, state, bytes }: RegisteredPack,
  isUsed: boolean,
  listed: number | undefined,
): Promise<Finding | undefined> {
  if (state === 'uploading') return undefined;
  let size: number | undefined;
  try {
    // The pack may have been stored after that page of the list.
    size = listed ?? (await blobs.size(key));
  } catch (error) {
    return failure('pack-registry', pack, reasonOf(error));
  }
  if (size === bytes) {
    if (state === 'lost') return info('pack-registry', pack, 'it was lost and is back');
    return state === 'damaged' ? info('pack-registry', pack, 'it was altered: new backups do not use it') : undefined;
  }
  const fault = size === undefined ? 'it is missing' : `it has ${counted(size, 'byte')} instead of ${bytes}`;
  if (!isUsed) return info('pack-registry', pack, `${fault}, but no backup needs it`);
  const detail = state === 'lost' ? 'it is lost: files in it cannot be restored' : fault;
  return failure('pack-registry', pack, detail);
}

async function* checkErrors(
  context: ReaderContext,
  { runId, pages, errors }: VaultLog['errorLists'][number],
  count: Count,
): AsyncGenerator<Finding> {
  let listed = 0;
  for (let page = 0; page < pages; page++) {
    count('error-page');
    const where = `${runId} page ${page}`;
    try {
      const list = await getErrors(context, runId, page);
      if (list.length === 0) return yield failure('error-page', where, 'it is missing');
      listed += list.length;
    } catch (error) {
      return yield failure('error-page', where, reasonOf(error));
    }
  }
  if (pages > 0 && listed !== errors)
    yield failure('error-page', runId, `its pages list ${counted(listed, 'error')}, but the run counted ${errors}`);
}

async function* checkExport(
  { blobs, keys }: ReaderContext,
  blob: string,
  size: number,
  readData: boolean,
  count: Count,
): AsyncGenerator<Finding> {
  count('export');
  try {
    const stored = await blobs.size(blob);
    // On AWS exports are not encrypted, and S3 verifies them.
    if (stored === size) return;
    if (stored !== encryptedSize(size))
      return yield failure('export', blob, `it is missing or incomplete: it should have ${counted(size, 'byte')}`);
    if (!readData) return;
    for await (const _piece of readExport(blobs, { key: keys.exports, blob, size }, { offset: 0, length: size }));
  } catch (error) {
    yield failure('export', blob, reasonOf(error));
  }
}
