/** Computes a run as of a ledger entry: the projection `runs`, applied up to there. */
import { openEntries } from '../../activity/feed.ts';
import { parseStream, type Recorded } from '../../domain/event.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { mergeChanges } from '../../projections/engine/changes.ts';
import { runs as model } from '../../projections/runs.ts';

/** The rows of open runs, by run id. */
export type Runs = { [runId: string]: JsonObject };

type Handlers = {
  [type: string]: ((event: Recorded<never>) => ReturnType<NonNullable<(typeof model.on)['RunRequested']>>) | undefined;
};

const entriesPerRead = 500;

/** Returns the change that an event makes to a run's row, undefined if it changes none. */
export function runChange(event: Recorded): { runId: string; applyTo(row: JsonObject): JsonObject } | undefined {
  const changes = (model.on as Handlers)[event.type]?.(event as Recorded<never>) ?? [];
  const change = changes.find(({ sk, table }) => table === 'runs' && sk.startsWith('id#'));
  if (change?.op !== 'update') return undefined;
  const { table, pk, sk } = change;
  return {
    runId: sk.slice('id#'.length),
    applyTo(row) {
      const [merged] = mergeChanges([{ op: 'put', table, pk, sk, data: row }, change]);
      return merged?.op === 'put' ? merged.data : row;
    },
  };
}

/** Returns the run's row as of the entries before `seq`. Reads the ledger backwards to the request of the run. */
export async function runBefore(platform: Platform, account: string, runId: string, seq: number): Promise<JsonObject> {
  const found: Recorded[] = [];
  for (let beforeSeq = seq; ; ) {
    const entries = await platform.events.ledger(account, { beforeSeq, order: 'desc', limit: entriesPerRead });
    const last = entries.at(-1);
    const candidates = entries.filter(({ stream }) => mayHoldEventsOf(stream));
    const events = (await openEntries(platform, account, candidates, () => undefined)).flatMap((opened) =>
      opened.events.toReversed(),
    );
    for (const event of events) {
      if (runChange(event)?.runId !== runId) continue;
      found.push(event);
      if (event.type === 'RunRequested') return fold(found);
    }
    if (!last || last.seq === 1) return fold(found);
    beforeSeq = last.seq;
  }
}

function fold(newestFirst: Recorded[]): JsonObject {
  return newestFirst.toReversed().reduce<JsonObject>((row, event) => runChange(event)?.applyTo(row) ?? row, {});
}

/** Any backup chain may hold the run: the request that names the chain is not known yet. */
function mayHoldEventsOf(stream: string): boolean {
  const { type } = parseStream(stream);
  return type === 'backup-chain';
}
