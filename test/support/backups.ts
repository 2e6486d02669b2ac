/** Makes restore points without processors: stores content, writes the manifest, commits the run and projects it. */
import { load, transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { makeId } from '../../crypto/ids.ts';
import {
  backupChain,
  backupChainId,
  createRestorePoint,
  type ManifestRef,
  requestRun,
} from '../../domain/backup-chain.ts';
import type { SourceEntry } from '../../domain/entry.ts';
import { streamName } from '../../domain/event.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { files } from '../../projections/files.ts';
import type { FoundEntry } from '../../vault/entry.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { findEntry, openManifest } from '../../vault/reader.ts';
import { chunksOf } from '../../vault/writer.ts';
import { changesOf, impliedBy, openTestWriter } from '../vault/vault-fixture.ts';
import type { TestPlatform } from './api.ts';

/** Path → content. `null` is a folder, undefined is deleted, and an object gives the fields of another entry. */
export type Things = { [key: string]: string | Uint8Array | Partial<SourceEntry> | null | undefined };
/** The counts and the cost of a run that did nothing, as its end has them. */
export const noWork = {
  startedAt: null,
  counts: {
    ...{ filesTotal: 0, filesUnchanged: 0, filesDone: 0, filesDeleted: 0, filesFailed: 0, filesSkipped: 0 },
    ...{ bytesRead: 0, bytesStored: 0 },
  },
  cost: { requests: 0, usd: 0 },
};
export const noErrors = { errors: [], errorPages: 0 };

export type Backup = { runId: string; at: string; manifest: ManifestRef };
export type BackupChain = {
  account: string;
  sourceId: string;
  jobId: string;
  backUp(changes: Things): Promise<Backup>;
};

/** A backup chain of a new job and source. `backUp` moves the clock on by a second. */
export function makeBackupChain(
  platform: TestPlatform,
  account: string,
  given: { sourceId?: string } = {},
): BackupChain {
  const sourceId = given.sourceId ?? makeId('source', platform.random(16));
  const jobId = makeId('job', platform.random(16));
  const stream = streamName(account, 'backup-chain', backupChainId(jobId, sourceId));

  async function backUp(changes: Things): Promise<Backup> {
    platform.clock.now += 1000;
    const runId = makeId('run', platform.random(16));
    const runRef = { runId, jobId, sourceId };
    const cause = systemContext(account, 'test', runId, runId);
    const at = new Date(platform.now()).toISOString();
    await transact(platform, backupChain, stream, requestRun(runRef, at), cause);
    const key = await platform.keys.accountKey(account);
    if (!key) throw new Error('The account was erased.');
    const ctx = { account, keys: deriveVaultKeys(key), blobs: platform.blobs };
    const writer = openTestWriter({
      ...ctx,
      records: platform.records,
      chunks: platform.chunks,
      random: platform.random,
    });
    const { state } = await load(platform, backupChain, stream);
    const base = state.newestRestorePoint ? { base: await openManifest(ctx, state.newestRestorePoint.manifest) } : {};
    const found: (() => Change)[] = [];
    for (const [name, thing] of Object.entries(changes)) {
      if (thing === undefined) {
        found.push(() => ({ delete: name }));
        continue;
      }
      const entry = entryOf(name, thing, runId, at);
      if (entry.kind !== 'file') found.push(() => ({ put: entry }));
      else {
        const file = await writer.store(once(contentOf(thing)));
        found.push(() => ({ put: { ...entry, size: file.size, sha256: file.sha256, chunks: chunksOf(file) } }));
      }
    }
    await writer.finish();
    const present = Object.keys(changes).filter((key) => changes[key] !== undefined);
    const implied: Change[] = [];
    for (const change of impliedBy(present, { runId, at })) {
      // A folder that the base has needs no implied one.
      const known = base.base && 'put' in change ? await findEntry(ctx, base.base, change.put.key) : undefined;
      if (!known || known.deleted) implied.push(change);
    }
    const { manifest, totals } = await writeManifest({
      ...ctx,
      random: platform.random,
      runId,
      at,
      ...base,
      changes: changesOf([...found.map((make) => make()), ...implied]),
    });
    const head = await transact(
      platform,
      backupChain,
      stream,
      createRestorePoint(runRef, { outcome: 'succeeded', manifest, totals, since: null, at, ...noErrors, ...noWork }),
      cause,
    );
    await handleNotifications(platform, [files], [head]);
    return { runId, at, manifest };
  }

  return { account, sourceId, jobId, backUp };
}

function entryOf(key: string, thing: NonNullable<Things[string]> | null, runId: string, at: string): FoundEntry {
  const more = thing === null || typeof thing === 'string' || thing instanceof Uint8Array ? {} : thing;
  const kind = key.endsWith('/') ? 'folder' : 'file';
  const revision = typeof thing === 'string' ? thing.slice(0, 50) : `${at} ${runId}`;
  return { key, kind, size: 0, modifiedAt: '2026-01-02T03:04:06.000Z', revision, runId, at, ...more };
}

function contentOf(thing: Things[string]): Uint8Array {
  return thing instanceof Uint8Array ? thing : Buffer.from(typeof thing === 'string' ? thing : '');
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}
