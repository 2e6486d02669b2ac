/** Whether the newest backup holds what its source does now: for sources that are quiet, as in tests and drills. */
import { createHash } from 'node:crypto';
import { load } from '../activity/store.ts';
import type { SourceSession } from '../connectors/connector.ts';
import { backupChain } from '../domain/backup-chain.ts';
import { compareKeys, type ListItem, type SourceEntry } from '../domain/entry.ts';
import { openSource } from '../processors/backup/open-source.ts';
import { backupChainStream, type RunRef, vaultKeys } from '../processors/backup/run.ts';
import type { Deployment } from '../processors/deployment.ts';
import type { ManifestEntry } from '../vault/entry.ts';
import { fileId } from '../vault/file-id.ts';
import { entries, openManifest } from '../vault/reader.ts';
import { type Count, type Finding, failure, info } from './finding.ts';

export type SourceChecks = {
  /** Reads every file at the source and compares its content. */
  readData: boolean;
  count: Count;
};

/** Both ways: what is there is in the backup as it is, and nothing else is. What the source refuses to give is left out. */
export async function* compareWithSource(
  deployment: Deployment,
  runRef: Omit<RunRef, 'runId'>,
  { readData, count }: SourceChecks,
): AsyncGenerator<Finding> {
  const { platform } = deployment;
  const { account, jobId, sourceId } = runRef;
  const target = { ...runRef, runId: '' };
  const { newestRestorePoint: head } = (await load(platform, backupChain, backupChainStream(target))).state;
  if (!head) return yield info('source', sourceId, 'it has no backup yet');
  const keys = await vaultKeys(platform, account);
  const context = { account, keys, blobs: platform.blobs };
  const where = (key: string) => `${sourceId} ${fileId(keys, { jobId, sourceId, key })}`;
  const kept = entries(context, await openManifest(context, head.manifest))[Symbol.asyncIterator]();
  const { session } = await openSource(deployment, target);
  try {
    let next = await kept.next();
    let blind: string | undefined;
    for await (const item of listing(session)) {
      count('source');
      const key = item.type === 'entry' ? item.entry.key : item.refusal.key;
      for (; !next.done && compareKeys(next.value.key, key) < 0; next = await kept.next()) {
        if (blind === undefined || !next.value.key.startsWith(blind))
          yield failure('source', where(next.value.key), 'it is in the backup, and not at the source');
      }
      const held = !next.done && next.value.key === key ? next.value : undefined;
      if (held) next = await kept.next();
      if (item.type === 'failed') {
        if (key.endsWith('/') && !item.entry) blind = key;
      } else if (item.type === 'skipped') {
        if (held) yield failure('source', where(key), 'it is in the backup, and cannot be');
      } else {
        const fault = held
          ? ((await faultOf(item.entry, held)) ?? (await faultOfContent(session, item.entry, held, readData)))
          : 'it is not in the backup';
        if (fault) yield failure('source', where(key), fault);
      }
    }
    for (; !next.done; next = await kept.next()) {
      if (blind === undefined || !next.value.key.startsWith(blind))
        yield failure('source', where(next.value.key), 'it is in the backup, and not at the source');
    }
  } finally {
    await session.close();
  }
}

async function* listing(session: SourceSession): AsyncGenerator<ListItem> {
  for (let page: string | null = null; ; ) {
    const listed = await session.changes({ since: null, page }, { limit: 1000 });
    yield* listed.items;
    if (listed.page === null) return;
    page = listed.page;
  }
}

function faultOf(entry: SourceEntry, held: ManifestEntry): string | undefined {
  if (entry.kind !== held.kind) return `it is a ${entry.kind}, and a ${held.kind} in the backup`;
  if (entry.kind === 'file' && entry.size !== held.size)
    return `it has ${entry.size} bytes, and ${held.size} in the backup`;
  const field = (['revision', 'target', 'mode', 'modifiedAt'] as const).find((name) => entry[name] !== held[name]);
  // A folder's revision moves with what is in it.
  return field && entry.kind !== 'folder' ? `its ${field} is another than in the backup` : undefined;
}

async function faultOfContent(
  session: SourceSession,
  entry: SourceEntry,
  held: ManifestEntry,
  readData: boolean,
): Promise<string | undefined> {
  if (!readData || entry.kind !== 'file') return undefined;
  const digest = createHash('sha256');
  try {
    for await (const piece of await session.read(entry)) digest.update(piece);
  } catch {
    // What the source does not give now says nothing of the backup.
    return undefined;
  }
  return digest.digest('hex') === held.sha256 ? undefined : 'its content is not what was backed up';
}
