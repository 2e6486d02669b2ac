/** Plans in small steps, each resumed from the one before as after a crash. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { SourceSession } from '../../../connectors/connector.ts';
import { compareEntries, type ListItem, type SourceEntry } from '../../../domain/entry.ts';
import type { EngineWork, PlanRequest, PlanStep } from '../../../processors/backup/engine.ts';
import { listSource } from '../../../processors/backup/list-source.ts';
import { decryptList } from '../../../processors/backup/work.ts';
import { defaultLimits, type Limits } from '../../../processors/limits.ts';
import { writeManifest } from '../../../vault/manifest.ts';
import { changesOf, found, impliedBy, memoryVault } from '../../vault/vault-fixture.ts';

/** Most full batches of a step. */
const most = 8;

type Source = { order: 'entries' | 'any'; entries: SourceEntry[] };

function sessionOf({ entries }: Source): SourceSession {
  const items = entries.map((entry): ListItem => ({ type: 'entry', entry }));
  const list: SourceSession['list'] = async (page, { limit }) => {
    const to = Number(page) + limit;
    return { items: items.slice(Number(page), to), page: to < items.length ? `${to}` : null, since: null };
  };
  return { list } as SourceSession;
}

/** Plans until the end. `stops`: stops after each step. */
async function plan(base: string[], source: Source, limits: Limits, stops: boolean) {
  const vault = memoryVault();
  const { account, keys, random, blobs } = vault;
  const run = { runId: 'run_0', at: '2026-02-01T00:00:00.000Z' };
  const before = [...base.map((key) => ({ put: found(key, run) })), ...impliedBy(base, run)];
  const { manifest } = await writeManifest({ ...vault, ...run, changes: changesOf(before) });
  const runRef = { account, runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
  let moves = 0;
  const work = {
    ...{ blobs, random, now: () => 0 },
    proceed: () => void moves++,
    withSession: (_runId: string, _source: unknown, act: (session: SourceSession) => unknown) => act(sessionOf(source)),
  } as unknown as EngineWork;
  const access = { type: source.order === 'any' ? 's3' : 'folder', config: {}, credentials: null, settings: '' };
  let request: PlanRequest = {
    ...{ runRef, keys, source: { ...access, context: { allowHosts: [] } }, head: null, base: manifest, idIndex: null },
    ...{ isFull: false, lost: [], position: null, batches: 0, limits },
  };
  const entries: string[] = [];
  const deleted: string[] = [];
  const steps: number[] = [];
  for (let isDone = false; !isDone; ) {
    const advance = async (step: PlanStep) => {
      steps.push(step.batches.length);
      expect(steps.length).toBeLessThan(1000);
      for (const { batch, ...saved } of step.batches) {
        const { list } = decryptList({ ...runRef, keys }, saved);
        expect(batch).toBe(++request.batches);
        entries.push(...list.entries.map(({ key }) => key));
        deleted.push(...list.deleted);
      }
      isDone = step.done;
      request = { ...request, position: step.position };
      return !stops;
    };
    await listSource(work, request, { advance });
  }
  expect(Math.max(...steps.slice(0, -1), 0)).toBeLessThanOrEqual(most);
  expect(steps.at(-1)).toBeLessThanOrEqual(most + 1);
  return { entries, deleted, steps, moves, puts: blobs.puts.filter((name) => name.startsWith('work/')) };
}

const names = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 50, size: 'max' });
const keyOf = (n: number) => `${String.fromCharCode(97 + (n % 3))}/${n}`;
const foldersOf = (keys: string[]) => [...new Set(keys.map((key) => key.slice(0, 2)))];
const small = fc.integer({ min: 1, max: 5 });

it('gives the same changes with any limits, in steps of few batches, resumed after each or not', async () => {
  await fc.assert(
    fc.asyncProperty(
      ...[names, names, fc.constantFrom('entries' as const, 'any' as const)],
      fc.record({ page: fc.integer({ min: 1, max: 80 }), pagesPerStep: small, batchItems: small, sortItems: small }),
      fc.boolean(),
      async (old, now, order, limits, stops) => {
        const [base, listed] = [old.map(keyOf), now.map(keyOf)];
        const all = [...listed, ...(order === 'any' ? [] : foldersOf(listed))];
        if (order === 'entries') all.sort(compareEntries);
        const source = { order, entries: all.map((key) => found(key, { revision: key.length > 3 ? 'r2' : 'r1' })) };
        const result = await plan(
          base,
          source,
          { ...defaultLimits, ...limits, sortItems: 9 * limits.sortItems },
          stops,
        );
        const isSame = (key: string) => base.includes(key) && key.length <= 3;
        const folders = foldersOf(listed).filter((key) => order === 'entries' || !foldersOf(base).includes(key));
        const wanted = [...listed.filter((key) => !isSame(key)), ...folders];
        expect(result.entries).toEqual(wanted.sort(compareEntries));
        const gone = [...base, ...foldersOf(base)].filter((key) => ![...listed, ...foldersOf(listed)].includes(key));
        expect(result.deleted).toEqual(gone.sort(compareEntries));
      },
    ),
    { numRuns: 300 },
  );
});

it('proceeds within a deletion of many entries, and stores no blobs for a listing of one page', async () => {
  const base = Array.from({ length: 6000 }, (_, i) => `a/${String(i).padStart(5, '0')}`);
  const source: Source = { order: 'any', entries: [found('a/z')] };
  for (const stops of [false, true]) {
    const result = await plan(base, source, { ...defaultLimits, batchItems: 100 }, stops);
    expect(result).toMatchObject({ entries: ['a/z'], deleted: base, puts: [] });
    expect(result.moves).toBeGreaterThan(result.steps.length);
    expect(result.steps).toEqual([...Array.from({ length: 7 }, () => most), 5]);
  }
});
