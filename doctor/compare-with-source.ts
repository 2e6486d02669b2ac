/** Compares the newest backup of a source with the source. Only meaningful while the source does not change. */
import { createHash } from 'node:crypto';
import { load } from '../activity/store.ts';
import { contentOf, type ListPage, type SourceSession } from '../connectors/connector.ts';
import { backupChain } from '../domain/backup-chain.ts';
import {
  compareKeys,
  comparePositions,
  itemPosition,
  keyOf,
  type ListItem,
  positionOf,
  type SourceEntry,
} from '../domain/entry.ts';
import { accessSource, openSession, requireConnector } from '../processors/backup/open-source.ts';
import { backupChainStream, type RunRef, vaultKeys } from '../processors/backup/run.ts';
import type { Deployment } from '../processors/deployment.ts';
import type { ManifestEntry } from '../vault/entry.ts';
import { fileId } from '../vault/file-id.ts';
import { entries, listTree, openManifest } from '../vault/reader.ts';
import { type Count, type Finding, failure, info } from './finding.ts';

export type SourceChecks = {
  /** Reads every file of the source and compares its content. */
  readData: boolean;
  count: Count;
};

/**
 * Compares in both directions: every source entry is in the backup as it is, and the backup holds nothing else.
 * An entry that the source refuses to list or read says nothing about the backup. It is skipped, or an info.
 */
export async function* compareWithSource(
  deployment: Deployment,
  runRef: Omit<RunRef, 'runId'>,
  { readData, count }: SourceChecks,
): AsyncGenerator<Finding> {
  const { platform } = deployment;
  const { account, jobId, sourceId } = runRef;
  const target = { ...runRef, runId: '' };
  const { newestRestorePoint: head } = (await load(platform, backupChain, backupChainStream(target))).state;
  if (!head) return yield info('source', sourceId, 'this source has no restore point yet');
  const keys = await vaultKeys(platform, account);
  const context = { account, keys, blobs: platform.blobs };
  const idOf = (key: string) => `${sourceId} ${fileId(keys, { jobId, sourceId, key })}`;
  const fault = (key: string, detail: string) => failure('source', idOf(key), detail);
  const source = await accessSource(deployment, target);
  const root = await openManifest(context, head.manifest);
  // S3 lists by key. The tree of the backup has that order too, so neither has to be sorted.
  const isByKey = requireConnector(source.type).order === 'any';
  const backup = isByKey ? listTree(context, root, '') : entries(context, root);
  const order = (key: string, item: ListItem) =>
    isByKey ? compareKeys(key, keyOf(item)) : comparePositions(positionOf(key), itemPosition(item));
  const session = await openSession(source);
  try {
    let next = await backup.next();
    /** The last folder that could not be listed. Nothing is known about the entries below it. */
    let unlisted: string | undefined;
    let last = '';
    for await (const item of listing(session)) {
      count('source');
      const key = keyOf(item);
      if (isByKey && compareKeys(last, key) >= 0)
        return yield info('source', sourceId, 'the rest was not compared, because the source does not list by key');
      last = key;
      for (; !next.done && order(next.value.key, item) < 0; next = await backup.next()) {
        if (unlisted === undefined || !next.value.key.startsWith(unlisted))
          yield fault(next.value.key, 'it is in the backup, but not at the source');
      }
      if (item.type === 'unlisted') unlisted = key;
      const isSame = !next.done && item.type !== 'unlisted' && next.value.key === key;
      const entry = isSame ? (next.value as ManifestEntry) : undefined;
      if (entry) next = await backup.next();
      if (item.type === 'failed' || item.type === 'unlisted') continue;
      if (item.type === 'skipped') {
        if (entry) yield fault(key, 'it is in the backup, but the source skips it');
      } else {
        const detail = entry
          ? (differenceOf(item.entry, entry) ?? (await contentDifference(session, item.entry, entry, readData)))
          : 'it is at the source, but not in the backup';
        if (detail && (await refusesRead(session, item.entry)))
          yield info('source', idOf(key), 'it cannot be read at the source, so the backup may lack its newest content');
        else if (detail) yield fault(key, detail);
      }
    }
    for (; !next.done; next = await backup.next()) {
      if (unlisted === undefined || !next.value.key.startsWith(unlisted))
        yield fault(next.value.key, 'it is in the backup, but not at the source');
    }
  } finally {
    await session.close();
  }
}

async function* listing(session: SourceSession): AsyncGenerator<ListItem> {
  for (let page: string | null = null; ; ) {
    const listed: ListPage = await session.list(page, { limit: 1000 });
    yield* listed.items;
    if (listed.page === null) return;
    page = listed.page;
  }
}

function differenceOf(entry: SourceEntry, backup: ManifestEntry): string | undefined {
  if (entry.kind !== backup.kind) return `it is a ${entry.kind} at the source, but a ${backup.kind} in the backup`;
  if (entry.kind === 'file' && entry.size !== backup.size)
    return `it has ${entry.size} bytes at the source, but ${backup.size} in the backup`;
  const field = (['revision', 'target', 'mode', 'modifiedAt'] as const).find((name) => entry[name] !== backup[name]);
  // The revision of a folder changes with its content.
  return field && entry.kind !== 'folder' ? `its ${field} differs from the backup` : undefined;
}

async function refusesRead(session: SourceSession, entry: SourceEntry): Promise<boolean> {
  if (entry.kind !== 'file' || entry.size === 0) return false;
  try {
    for await (const _piece of contentOf(session, entry)) return false;
    return false;
  } catch {
    return true;
  }
}

async function contentDifference(
  session: SourceSession,
  entry: SourceEntry,
  backup: ManifestEntry,
  readData: boolean,
): Promise<string | undefined> {
  if (!readData || entry.kind !== 'file') return undefined;
  const digest = createHash('sha256');
  try {
    for await (const piece of contentOf(session, entry)) digest.update(piece);
  } catch {
    // A failing source says nothing about the backup.
    return undefined;
  }
  return digest.digest('hex') === backup.sha256 ? undefined : 'its content differs from the backup';
}
