/** The work of a batch: what to fetch and what is gone, decided by the plan, and sealed since it is full of names. */
import type { Refusal, SourceEntry } from '../domain/entry.ts';
import type { Machine } from '../domain/ports.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { openBytes, sealBytes } from '../vault/sealed.ts';
import type { Origin } from './open-source.ts';
import { layDown, pickUp, type Resting } from './resting.ts';
import { type About, expiry, type Limits, runRecord } from './run.ts';

/** In key order each, and between batches too. */
export type Work = { entries: SourceEntry[]; deleted: string[]; failed: Refusal[]; skipped: Refusal[] };

/** Work as it rests, with what was listed. */
export type Listed = Work & { origin?: Origin };

/** Seals and puts anything of a run that is too large for a message; `where` names it, once for ever. */
export async function putSealed(machine: Machine, keys: VaultKeys, about: About, where: string, value: unknown): Promise<void> {
  const bytes = sealBytes(keys, aad(about, where), Buffer.from(JSON.stringify(value)));
  const data = await layDown(machine, `work/${about.account}/${about.runId}/${where}`, bytes);
  await machine.records.write([{ op: 'put', ...runRecord(about, where), data, expiresAt: expiry(machine) }]);
}

export async function getSealed<T>(machine: Machine, keys: VaultKeys, about: About, where: string): Promise<T> {
  const record = await machine.records.get(runRecord(about, where));
  const bytes = record && (await pickUp(machine, record.data as Resting));
  if (!bytes) throw new Error(`${where} of run ${about.runId} is missing`);
  return JSON.parse(Buffer.from(openBytes(keys, aad(about, where), bytes)).toString('utf8'));
}

function aad(about: About, where: string): string {
  return `${about.account}|${about.runId}|${where}`;
}

/** Cuts what the plan finds into batches; `rest` is the one that is not full yet. */
export function makeCutter(
  limits: Pick<Limits, 'batchThings' | 'batchBytes'>,
  open: Work = emptyWork(),
): { add(what: Partial<Work>): void; cut(): Work[]; rest: Work } {
  const full: Work[] = [];
  let bytes = sizeOf(open.entries);
  const cutter = {
    rest: open,
    add(what: Partial<Work>) {
      const { rest } = cutter;
      rest.entries.push(...(what.entries ?? []));
      rest.deleted.push(...(what.deleted ?? []));
      rest.failed.push(...(what.failed ?? []));
      rest.skipped.push(...(what.skipped ?? []));
      bytes += sizeOf(what.entries ?? []);
      if (things(rest) >= limits.batchThings || bytes >= limits.batchBytes) {
        full.push(rest);
        cutter.rest = emptyWork();
        bytes = 0;
      }
    },
    cut: () => full.splice(0),
  };
  return cutter;
}

function sizeOf(entries: SourceEntry[]): number {
  return entries.reduce((sum, entry) => sum + entry.size, 0);
}

export function things(work: Work): number {
  return work.entries.length + work.deleted.length + work.failed.length + work.skipped.length;
}

export function emptyWork(): Work {
  return { entries: [], deleted: [], failed: [], skipped: [] };
}
