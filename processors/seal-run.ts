/**
 * Merges a run's parts into the new manifest and appends it to the line: the commit point. What follows (the run's own end) is
 * repeated until it is there, from what the line says.
 */
import { transact } from '../activity/store.ts';
import { systemContext } from '../commands/context.ts';
import { displayPath, type Refusal } from '../domain/entry.ts';
import { type LineEvent, line, sealLine } from '../domain/line.ts';
import type { Machine } from '../domain/ports.ts';
import { type Cost, type Counts, finishRun, type RunError, run } from '../domain/run.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { type Change, writeManifest } from '../vault/manifest.ts';
import { changesOfPart, type Part } from '../vault/part.ts';
import { openManifest } from '../vault/reader.ts';
import { errorsPerPage, putErrors } from '../vault/run-errors.ts';
import { finishReleased } from './fail-run.ts';
import { endOnLine } from './line-end.ts';
import { measureRun } from './measure-run.ts';
import { addCosts, metered } from './meter.ts';
import { readParts } from './parts.ts';
import { type About, type Home, idsOf, lineStream, loadRun, runStream, vaultKeys } from './run.ts';
import { unwatchRun } from './watch.ts';

type Plan = { batches: number; filesTotal: number; filesUnchanged: number; since: string | null; place?: string };
type Sealed = Extract<LineEvent, { type: 'LineSealed' }>['data'];

export async function sealRun(home: Home, about: About): Promise<void> {
  const meter = metered(home.machine, home.prices);
  const { machine } = meter;
  const state = await loadRun(machine, about);
  if (state.run.status === 'finished') return unwatchRun(machine, about);
  if (state.run.status !== 'running' || !state.run.planned) return;
  const plan = state.run.planned;
  const keys = await vaultKeys(machine, about.account);
  const sums = await addUp(machine, keys, about, plan);
  await home.reached?.('seal:summed');

  if (state.line.open?.runId === about.runId) {
    const ctx = { account: about.account, keys, blobs: machine.blobs };
    const base = state.line.sealed ? await openManifest(ctx, state.line.sealed.manifest) : undefined;
    const at = new Date(machine.now()).toISOString();
    const written = await writeManifest({
      ...ctx,
      random: machine.random,
      runId: about.runId,
      at,
      ...(base ? { base } : {}),
      changes: changes(readParts(machine, keys, about, plan.batches)),
    });
    await home.reached?.('seal:manifest');
    const outcome = sums.counts.filesFailed > 0 ? 'partial' : 'succeeded';
    const result = { outcome, manifest: written.manifest, totals: written.totals, since: plan.since, place: plan.place, at } as const;
    await transact(machine, line, lineStream(about), sealLine(idsOf(about), result), cause(about));
    await home.reached?.('seal:line');
  }
  const end = await endOnLine(machine, about);
  if (end?.type !== 'LineSealed') return finishReleased(home, about);
  await finish(machine, about, end.data, sums, meter, state.line.open?.requestedAt);
  await home.reached?.('seal:finished');
  await unwatchRun(machine, about);
}

const cause = (about: About) => systemContext(about.account, 'seal-run', about.runId, about.runId);

/** `errors`: the first of them; all are in so many pages of blobs when they are too many for the event. */
type Sums = { counts: Counts; cost: Cost; errors: RunError[]; errorPages: number };

/** What the parts say together. */
async function addUp(machine: Machine, keys: VaultKeys, about: About, plan: Plan): Promise<Sums> {
  const counts: Counts = {
    filesTotal: plan.filesTotal,
    filesDone: 0,
    filesUnchanged: plan.filesUnchanged,
    filesDeleted: 0,
    filesFailed: 0,
    filesSkipped: 0,
    bytesRead: 0,
    bytesStored: 0,
  };
  const sums: Sums = { counts, cost: { requests: 0, usd: 0 }, errors: [], errorPages: 0 };
  const vault = { account: about.account, keys, blobs: machine.blobs };
  let page: RunError[] = [];
  for await (const { part, counts: own, cost } of readParts(machine, keys, about, plan.batches)) {
    for (const field of Object.keys(own) as (keyof typeof own)[]) counts[field] += own[field];
    sums.cost = addCosts([sums.cost, cost]);
    page.push(...[...part.failed, ...part.skipped].map(asError));
    if (sums.errorPages === 0) sums.errors = firstOf(page);
    for (; page.length >= errorsPerPage; page = page.slice(errorsPerPage)) {
      await putErrors(vault, about.runId, sums.errorPages++, page.slice(0, errorsPerPage));
    }
  }
  if (page.length > 0 && (sums.errorPages > 0 || page.length > sums.errors.length)) {
    await putErrors(vault, about.runId, sums.errorPages++, page);
  }
  return sums;
}

function asError({ key, code, message }: Refusal): RunError {
  return { path: displayPath(key).path, code, message };
}

async function* changes(parts: AsyncIterable<{ part: Part }>): AsyncGenerator<Change> {
  for await (const { part } of parts) yield* changesOfPart(part);
}

async function finish(
  machine: Machine,
  about: About,
  sealed: Sealed,
  sums: Sums,
  meter: { cost(): Cost; bytesStored(): number },
  requestedAt: string | undefined,
): Promise<void> {
  const data = {
    ...idsOf(about),
    outcome: sealed.outcome,
    counts: { ...sums.counts, bytesStored: sums.counts.bytesStored + meter.bytesStored() },
    cost: addCosts([sums.cost, meter.cost()]),
    manifest: sealed.manifest,
    totals: sealed.totals,
    reason: null,
    errors: sums.errors,
    errorPages: sums.errorPages,
  };
  const { appended } = await transact(machine, run, runStream(about), finishRun(data), cause(about));
  if (appended) measureRun(machine, data, requestedAt);
}

/** The run's row holds them sealed (4/3 of this), and an item of DynamoDB has 400 KB. */
const errorBytes = 200 * 1024;

/** The first hundred, or fewer when their paths are that long. */
function firstOf(errors: RunError[]): RunError[] {
  let bytes = 0;
  return errors.slice(0, 100).filter((error) => {
    bytes += Buffer.byteLength(JSON.stringify(error));
    return bytes <= errorBytes;
  });
}
