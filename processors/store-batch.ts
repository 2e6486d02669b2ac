/**
 * Stores one batch: fetch → chunk → dedup → compress → encrypt → pack, then one part of the manifest and one event.
 * The part is put if absent: whoever is second takes the first one's, so a repeat or a slow twin changes nothing.
 */
import { load, transact } from '../activity/store.ts';
import { systemContext } from '../commands/context.ts';
import { type BatchCounts, batch, batchId, storeBatch as stored } from '../domain/batch.ts';
import { compareKeys } from '../domain/entry.ts';
import { streamName } from '../domain/event.ts';
import { encodePart } from '../vault/part.ts';
import { openWriter } from '../vault/writer.ts';
import { finishReleased } from './fail-run.ts';
import { fetchEntries } from './fetch-entries.ts';
import { metered } from './meter.ts';
import { mustBeOf, openSource } from './open-source.ts';
import { type PartRecord, putPart, readPart } from './parts.ts';
import { type About, type Home, idsOf, loadRun, vaultKeys } from './run.ts';
import { countStored } from './tally.ts';
import { CalledOff, noteAlive, unwatchRun } from './watch.ts';
import { getSealed, type Listed } from './work.ts';

export async function storeBatch(home: Home, about: About, number: number, work: string): Promise<void> {
  const { machine } = home;
  const { line, run } = await loadRun(machine, about);
  if (run.status === 'finished') return unwatchRun(machine, about);
  if (line.open?.runId !== about.runId) return finishReleased(home, about);
  const stream = streamName(about.account, 'batch', batchId(about.runId, number));
  const { state } = await load(machine, batch, stream);
  const part = (await readPart(machine, about, number)) ?? (await makePart(home, about, number, work).catch(unlessCalledOff));
  if (!part) return finishReleased(home, about);
  if (state.status === 'none') {
    await home.reached?.('store:part');
    const { partHash, packs, counts, cost } = part;
    const cause = systemContext(about.account, 'store-batch', about.runId, `${about.runId}.${number}`);
    await transact(machine, batch, stream, stored({ ...idsOf(about), batch: number, partHash, packs, counts, cost }), cause);
    await home.reached?.('store:stored');
  }
  await countStored(machine, about, number, part);
  await home.reached?.('store:counted');
}

function unlessCalledOff(error: unknown): undefined {
  if (!(error instanceof CalledOff)) throw error;
}

async function makePart(home: Home, about: About, number: number, workName: string): Promise<PartRecord> {
  const meter = metered(home.machine, home.prices);
  const { machine } = meter;
  const keys = await vaultKeys(machine, about.account);
  const work = await getSealed<Listed>(machine, keys, about, workName);
  const { account, runId } = about;
  const { session } = await openSource({ ...home, machine }, about, work.origin);
  const { blobs, records, random } = home.machine;
  const { workers, packers, intake } = home.storing ?? {};
  const shared = packers?.take(account, keys);
  const writer = openWriter({
    account,
    keys,
    blobs,
    records,
    random,
    ...(workers && { workers }),
    ...(shared && { packer: shared.packer }),
  });
  try {
    const alive = noteAlive(home.machine, about);
    const fetched = await fetchEntries(session, { store: (content) => writer.store(alive(content)) }, work.entries, intake);
    if (fetched.vanished.length > 0 && work.origin) await mustBeOf(session, work.origin);
    await home.reached?.('store:fetched');
    const { packs, bytesStored, requests } = await writer.finish();
    meter.count(requests);
    await home.reached?.('store:packed');
    const at = new Date(machine.now()).toISOString();
    const failed = [...work.failed, ...fetched.failed];
    const skipped = [...work.skipped, ...fetched.skipped];
    const files = fetched.stored.filter(({ entry }) => entry.kind !== 'folder');
    const counts: BatchCounts = {
      filesDone: files.length,
      filesDeleted: work.deleted.filter((key) => !key.endsWith('/')).length,
      filesFailed: failed.length,
      filesSkipped: skipped.length,
      bytesRead: files.reduce((sum, { file }) => sum + (file?.size ?? 0), 0),
      bytesStored,
    };
    const entries = fetched.stored.map(({ entry, file }) => ({
      ...entry,
      ...(file ? { size: file.size, sha256: file.sha256, chunks: file.chunks } : {}),
      version: 0,
      runId,
      at,
    }));
    const deleted = [...work.deleted, ...fetched.vanished].sort(compareKeys);
    const part = encodePart(keys, account, runId, number, { entries, deleted, failed, skipped, counts });
    return await putPart(machine, about, number, part, { packs, counts, cost: meter.cost() });
  } finally {
    writer.close();
    shared?.release();
    await session.close();
  }
}
