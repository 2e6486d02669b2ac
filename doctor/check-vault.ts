/**
 * Checks an account's vault: it holds every backup that the log names, and no record of the chunk index points to
 * missing content.
 */

import type { Records } from '../domain/ports.ts';
import { exportSize, readExport } from '../vault/exports.ts';
import { getErrors } from '../vault/run-errors.ts';
import type { ReaderContext } from '../vault/segment.ts';
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
  vault: ReaderContext & { records: Records },
  log: VaultLog,
  { readData, count }: VaultChecks,
): AsyncGenerator<Finding> {
  const { account, keys, blobs, records } = vault;
  // Vault readers cache by context. A new context makes sure that everything is read again.
  const context = { account, keys, blobs };
  const packs = checkedPacks(context, count);
  yield* checkManifests(context, log.manifests, { packs, readData, count });
  yield* packs.check(records, { readData, mayBeNamed: log.mayBeNamed });
  yield* findUnusedManifests(context, log.manifests);
  for (const list of log.errorLists) yield* checkErrors(context, list, count);
  for (const [blob, size] of log.exports) yield* checkExport(context, blob, size, readData, count);
}

/** A run that crashed, or lost to a concurrent worker, leaves a manifest that the log does not name. */
async function* findUnusedManifests(
  { account, blobs }: ReaderContext,
  named: NamedManifest[],
): AsyncGenerator<Finding> {
  const known = new Set(named.map(({ ref }) => ref.id));
  const unused: [string, number][] = [];
  for await (const { key, size } of allBlobs(blobs, `manifests/${account}/`)) {
    const id = key.slice(key.lastIndexOf('/') + 1);
    if (!known.has(id)) unused.push([id, size]);
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
