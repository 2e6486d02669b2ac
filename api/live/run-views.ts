/** A run as it was at a place in the ledger: the fold of the read model `runs`, stopped there. */
import { openEntries } from '../../activity/feed.ts';
import { parseStream, type Recorded } from '../../domain/event.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { mergeChanges } from '../../projections/engine/changes.ts';
import { runs as model } from '../../projections/runs.ts';

/** The rows of open runs by their ids. */
export type Runs = { [runId: string]: JsonObject };

type Handlers = {
  [type: string]: ((event: Recorded<never>) => ReturnType<NonNullable<(typeof model.on)['RunStarted']>>) | undefined;
};

/** How many entries are looked at together on the way back to a run's beginning. */
const step = 500;

/** What the event changes in a run's row; undefined when it is about no run. */
export function runChange(event: Recorded): { runId: string; onto(row: JsonObject): JsonObject } | undefined {
  const changes = (model.on as Handlers)[event.type]?.(event as Recorded<never>) ?? [];
  const change = changes.find(({ sk, table }) => table === 'runs' && sk.startsWith('id#'));
  if (change?.op !== 'update') return undefined;
  const { table, pk, sk } = change;
  return {
    runId: sk.slice('id#'.length),
    onto(row) {
      const [merged] = mergeChanges([{ op: 'put', table, pk, sk, data: row }, change]);
      return merged?.op === 'put' ? merged.data : row;
    },
  };
}

/** The run's row as of the entries before `seq`, by reading the ledger back to where the run was requested. */
export async function runBefore(platform: Platform, account: string, runId: string, seq: number): Promise<JsonObject> {
  const found: Recorded[] = [];
  for (let beforeSeq = seq; ; ) {
    const entries = await platform.events.ledger(account, { beforeSeq, order: 'desc', limit: step });
    const last = entries.at(-1);
    const near = entries.filter(({ stream }) => mayBeOf(runId, stream));
    const events = (await openEntries(platform, account, near, () => undefined)).flatMap((opened) =>
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
  return newestFirst.toReversed().reduce<JsonObject>((row, event) => runChange(event)?.onto(row) ?? row, {});
}

/** Which line a run is in, only its request tells. */
function mayBeOf(runId: string, stream: string): boolean {
  const { type, id } = parseStream(stream);
  return type === 'backup-chain' || id === runId || id.startsWith(`${runId}.`);
}
