/**
 * Merges a run's parts into the new manifest and appends it to the line: the commit point. What follows (the run's own end) is
 * repeated until it is there, from what the line says.
 */
import { decode } from '../activity/decode.ts';
import { transact } from '../activity/store.ts';
import { systemContext } from '../commands/context.ts';
import { displayPath, type Refusal } from '../domain/entry.ts';
import { type LineEvent, line, sealLine } from '../domain/line.ts';
import type { Machine, StoredCommit } from '../domain/ports.ts';
import { type Cost, type Counts, finishRun, type RunError, run } from '../domain/run.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { type Change, writeManifest } from '../vault/manifest.ts';
import { changesOfPart, type Part } from '../vault/part.ts';
import { openManifest } from '../vault/reader.ts';
import { addCosts, metered } from './meter.ts';
import { readParts } from './parts.ts';
import { type About, type Home, idsOf, lineStream, loadRun, runStream, vaultKeys } from './run.ts';
import { unwatchRun } from './watch.ts';
import { putSealed } from './work.ts';

type Plan = { batches: number; filesTotal: number; filesUnchanged: number; since: string | null };
type Sealed = Extract<LineEvent, { type: 'LineSealed' }>['data'];

export async function sealRun(home: Home, about: About): Promise<void> {
  const meter = metered(home.machine, home.prices);
  const { machine } = meter;
  const state = await loadRun(machine, about);
  if (state.run.status !== 'running' || !state.run.planned) return;
  const plan = state.run.planned;
  const keys = await vaultKeys(machine, about.account);
  const sums = await addUp(machine, keys, about, plan);
  home.reached?.('seal:summed');

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
    home.reached?.('seal:manifest');
    const outcome = sums.counts.filesFailed > 0 ? 'partial' : 'succeeded';
    const result = { outcome, manifest: written.manifest, totals: written.totals, since: plan.since, at } as const;
    await transact(machine, line, lineStream(about), sealLine(idsOf(about), result), cause(about));
    home.reached?.('seal:line');
  }
  const sealed = await findSealed(machine, about);
  if (!sealed) return;
  await finish(machine, keys, about, sealed, sums, meter);
  await unwatchRun(machine, about);
  home.reached?.('seal:finished');
}

const cause = (about: About) => systemContext(about.account, 'seal-run', about.runId, about.runId);

type Sums = { counts: Counts; cost: Cost; errors: RunError[] };

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
  const sums: Sums = { counts, cost: { requests: 0, usd: 0 }, errors: [] };
  for await (const { part, counts: own, cost } of readParts(machine, keys, about, plan.batches)) {
    for (const field of Object.keys(own) as (keyof typeof own)[]) counts[field] += own[field];
    sums.cost = addCosts([sums.cost, cost]);
    sums.errors.push(...[...part.failed, ...part.skipped].map(asError));
  }
  return sums;
}

function asError({ key, code, message }: Refusal): RunError {
  return { path: displayPath(key).path, code, message };
}

async function* changes(parts: AsyncIterable<{ part: Part }>): AsyncGenerator<Change> {
  for await (const { part } of parts) yield* changesOfPart(part);
}

/** What the line says of this run's backup; undefined when it has none (it was cancelled, or overtaken). */
async function findSealed(machine: Machine, about: About): Promise<Sealed | undefined> {
  const last = await machine.events.last(lineStream(about));
  const found = last && (await sealedIn(machine, about, last));
  if (found) return found;
  for (const commit of (await machine.events.load(lineStream(about))).reverse()) {
    const earlier = await sealedIn(machine, about, commit);
    if (earlier) return earlier;
  }
  return undefined;
}

async function sealedIn(machine: Machine, about: About, commit: StoredCommit): Promise<Sealed | undefined> {
  const events = (await decode<LineEvent>(machine, commit)) as LineEvent[];
  return events.find((event) => event.type === 'LineSealed' && event.data.runId === about.runId)?.data as Sealed | undefined;
}

async function finish(
  machine: Machine,
  keys: VaultKeys,
  about: About,
  sealed: Sealed,
  sums: Sums,
  meter: { cost(): Cost; bytesStored(): number },
): Promise<void> {
  if (sums.errors.length > 0) await putSealed(machine, keys, about, 'errors', sums.errors);
  const data = {
    ...idsOf(about),
    outcome: sealed.outcome,
    counts: { ...sums.counts, bytesStored: sums.counts.bytesStored + meter.bytesStored() },
    cost: addCosts([sums.cost, meter.cost()]),
    manifest: sealed.manifest,
    totals: sealed.totals,
    reason: null,
    errors: sums.errors.slice(0, 100),
  };
  await transact(machine, run, runStream(about), finishRun(data), cause(about));
}
