/**
 * Checks an account's vault: it holds every backup that the log names, and no record of the chunk index points to
 * missing content.
 */

import type { ChunkIndex, Records } from '../domain/ports.ts';
import { exportSize, readExport } from '../vault/exports.ts';
import { metadataKey, type ReaderContext } from '../vault/metadata.ts';
import { packBlobKey } from '../vault/pack.ts';
import { registeredPacks } from '../vault/pack-registry.ts';
import { getErrors } from '../vault/run-errors.ts';
import { checkManifests, type NamedManifest } from './check-manifests.ts';
import { checkedPacks } from './check-packs.ts';
import { type Count, type Finding, failure, info } from './finding.ts';
import { allBlobs, describeUnused, reasonOf } from './reading.ts';

/** What the vault must hold, according to the log. */
export type VaultLog = {
  manifests: NamedManifest[];
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
};

export async function* checkVault(
  vault: ReaderContext & { records: Records; chunks: ChunkIndex },
  log: VaultLog,
  { readData, count }: VaultChecks,
): AsyncGenerator<Finding> {
  const { account, keys, blobs, records, chunks } = vault;
  // Vault readers cache by context. A new context makes sure that everything is read again.
  const context = { account, keys, blobs };
  const packs = checkedPacks(context, count);
  const usedMetadata = new Set<string>();
  yield* checkManifests(context, log.manifests, { packs, readData, count, usedMetadata });
  yield* packs.check(chunks, { readData, mayBeNamed: log.mayBeNamed });
  yield* checkRegistry(context, records, count);
  yield* findUnusedMetadata(context, usedMetadata);
  for (const list of log.errorLists) yield* checkErrors(context, list, count);
  for (const [blob, size] of log.exports) yield* checkExport(context, blob, size, readData, count);
}

/** Every registered pack is stored with its size. */
async function* checkRegistry(
  { account, blobs }: ReaderContext,
  records: Records,
  count: Count,
): AsyncGenerator<Finding> {
  for await (const { pack, state, bytes } of registeredPacks({ account, records, blobs })) {
    count('pack-registry');
    const key = pack.startsWith('man_') ? metadataKey(account, pack) : packBlobKey(account, pack);
    const size = await blobs.size(key).catch(() => undefined);
    if (state === 'live' && size !== bytes)
      yield failure(
        'pack-registry',
        pack,
        size === undefined ? 'it is missing' : `it has ${size} bytes instead of ${bytes}`,
      );
    if (state === 'lost' && size === bytes) yield info('pack-registry', pack, 'it was lost and is back');
    if (state === 'lost' && size !== bytes)
      yield failure('pack-registry', pack, 'it is lost: files in it cannot be restored');
  }
}

/** A run that crashed, or lost to a concurrent worker, leaves metadata packs that no manifest uses. */
async function* findUnusedMetadata({ account, blobs }: ReaderContext, used: Set<string>): AsyncGenerator<Finding> {
  const unused: [string, number][] = [];
  for await (const { key, size } of allBlobs(blobs, `manifests/${account}/`)) {
    const id = key.slice(key.lastIndexOf('/') + 1);
    if (!used.has(id)) unused.push([id, size]);
  }
  if (unused.length > 0) yield info('manifest', account, describeUnused('manifests', unused));
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
    yield failure('error-page', runId, `its pages list ${listed} errors, but the run counted ${errors}`);
}

async function* checkExport(
  { blobs }: ReaderContext,
  blob: string,
  size: number,
  readData: boolean,
  count: Count,
): AsyncGenerator<Finding> {
  count('export');
  if ((await exportSize(blobs, blob)) !== size)
    return yield failure('export', blob, `it is missing or incomplete: it should have ${size} bytes`);
  if (!readData) return;
  try {
    for await (const _piece of readExport(blobs, blob, { offset: 0, length: size }));
  } catch (error) {
    yield failure('export', blob, reasonOf(error));
  }
}
