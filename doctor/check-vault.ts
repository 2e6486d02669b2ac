/** Whether an account's vault holds what its log says was backed up, and nothing in it would lead a later backup astray. */

import type { Records } from '../domain/ports.ts';
import { exportSize, readExport } from '../vault/exports.ts';
import { getErrors } from '../vault/run-errors.ts';
import type { ReaderContext } from '../vault/segment.ts';
import { checkManifests, type NamedManifest } from './check-manifests.ts';
import { checkedPacks, listed, some, sum, whyOf } from './check-packs.ts';
import { type Count, type Finding, failure, info } from './finding.ts';

/** What the log says of the vault. */
export type VaultLog = {
  manifests: NamedManifest[];
  /** Lists of what runs could not back up: so many entries on so many pages. */
  errorLists: { runId: string; pages: number; errors: number }[];
  /** Zips that are kept now, by the name of their blob, with their size. */
  exports: Map<string, number>;
  /** Packs that runs which are still open may yet name. */
  mayBeNamed: Set<string>;
};

export type VaultChecks = {
  /** Reads and decrypts everything; else roots, segments and footers, and the sizes of the rest. */
  readData: boolean;
  count: Count;
};

export async function* checkVault(
  vault: ReaderContext & { records: Records },
  log: VaultLog,
  { readData, count }: VaultChecks,
): AsyncGenerator<Finding> {
  const { account, keys, blobs, records } = vault;
  // Readers remember by context: a new one remembers nothing from before.
  const context = { account, keys, blobs };
  const packs = checkedPacks(context, count);
  yield* checkManifests(context, log.manifests, { packs, readData, count });
  yield* packs.check(records, { readData, mayBeNamed: log.mayBeNamed });
  yield* findOrphans(context, log.manifests);
  for (const list of log.errorLists) yield* checkErrors(context, list, count);
  for (const [blob, size] of log.exports) yield* checkExport(context, blob, size, readData, count);
}

/** A run that crashed or lost its race leaves a manifest that nobody names. */
async function* findOrphans(context: ReaderContext, named: NamedManifest[]): AsyncGenerator<Finding> {
  const known = new Set(named.map(({ ref }) => ref.id));
  const orphans: [string, number][] = [];
  for await (const { key, size } of listed(context, `manifests/${context.account}/`)) {
    const id = key.slice(key.lastIndexOf('/') + 1);
    if (!known.has(id)) orphans.push([id, size]);
  }
  if (orphans.length > 0)
    yield info(
      'manifest',
      context.account,
      `${orphans.length} manifests (${sum(orphans)} bytes) are of no backup: ${some(orphans)}`,
    );
}

async function* checkErrors(
  context: ReaderContext,
  { runId, pages, errors }: VaultLog['errorLists'][number],
  count: Count,
): AsyncGenerator<Finding> {
  let found = 0;
  for (let page = 0; page < pages; page++) {
    count('error-page');
    try {
      const list = await getErrors(context, runId, page);
      if (list.length === 0) return yield failure('error-page', `${runId} page ${page}`, 'it is missing');
      found += list.length;
    } catch (error) {
      return yield failure('error-page', `${runId} page ${page}`, whyOf(error));
    }
  }
  if (pages > 0 && found !== errors)
    yield failure('error-page', runId, `its pages list ${found} files, and the run counted ${errors}`);
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
    return yield failure('export', blob, 'it is gone, or not as large as it was made');
  if (!readData) return;
  try {
    for await (const _piece of readExport(blobs, blob, { offset: 0, length: size }));
  } catch (error) {
    yield failure('export', blob, whyOf(error));
  }
}
