/** A read model by itself, in memory: what the log says its rows are, now or as of any moment. For checkers, auditors and tests. */
import { compareKeys } from '../../domain/entry.ts';
import { parseStream } from '../../domain/event.ts';
import type { Platform, Row, RowChange, StoredCommit } from '../../domain/ports.ts';
import { changesOf, type Fault, faultOf, updated } from './changes.ts';
import type { Projection } from './projection.ts';

/** A stream that a fold could not read to its end: the commit that it stopped at, and what is wrong with it. */
export type Stopped = { stream: string; version: number; fault: Fault };

/** Every row in the order of pk and sk (UTF-8 bytes). */
export type Folded = { rows: Row[]; stopped: Stopped[] };

export type Fold = {
  /** The next commit of its stream; what the projection does not follow is left out. Throws on one out of order, and what the machine throws. */
  add(commit: StoredCommit): Promise<void>;
  /** The stream ends here for this fold. */
  stop(at: Stopped): void;
  result(): Folded;
};

/** A fold of commits given one by one, each stream's in order, streams mixed in any way: by the runner's rules, and nothing is written. */
export function foldOf(platform: Pick<Platform, 'blobs'>, projection: Projection): Fold {
  const rows = new Map<string, Row>();
  const reached = new Map<string, number>();
  const stopped = new Map<string, Stopped>();

  /** The row after the change; throws as a machine would, before anything is changed. */
  function after(change: RowChange): [rowName: string, row: Row | undefined] {
    const { pk, sk } = change;
    const rowName = JSON.stringify([pk, sk]);
    if (change.op === 'delete') return [rowName, undefined];
    return [
      rowName,
      { pk, sk, data: change.op === 'put' ? change.data : updated(rows.get(rowName)?.data ?? {}, change) },
    ];
  }

  return {
    async add(commit) {
      const { stream, version } = commit;
      if (stopped.has(stream) || !projection.streams.includes(parseStream(stream).type)) return;
      if (version !== (reached.get(stream) ?? 0) + 1)
        throw new Error(`commit ${version} of ${stream} came out of order`);
      reached.set(stream, version);
      try {
        const changes = (await changesOf(platform, projection, commit)).map(after);
        for (const [rowName, row] of changes) {
          if (row) rows.set(rowName, row);
          else rows.delete(rowName);
        }
      } catch (error) {
        const fault = faultOf(error);
        if (!fault) throw error;
        stopped.set(stream, { stream, version, fault });
      }
    },
    stop: (at) => void stopped.set(at.stream, at),
    result: () => ({
      // As JSON: what a machine would give back.
      rows: (JSON.parse(JSON.stringify([...rows.values()])) as Row[]).sort(
        (a, b) => compareKeys(a.pk, b.pk) || compareKeys(a.sk, b.sk),
      ),
      stopped: [...stopped.values()],
    }),
  };
}

const pageOfLedger = 200;

/**
 * An account's rows of a projection as of a moment (UTC ISO-8601, inclusive; left out: all there is): the same fold over the account's
 * ledger, stopped at the first entry after it. On AWS the ledger trails by the relay's delay.
 */
export async function foldAsOf(
  platform: Platform,
  projection: Projection,
  account: string,
  at?: string,
): Promise<Folded> {
  const fold = foldOf(platform, projection);
  for (let afterSeq = 0; ; ) {
    const entries = await platform.events.ledger(account, { afterSeq, order: 'asc', limit: pageOfLedger });
    const due = at === undefined ? entries : entries.filter((entry) => Date.parse(entry.at) <= Date.parse(at));
    const followed = due.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
    const commits = new Map(
      (await platform.events.getMany(followed)).map((commit) => [`${commit.stream}@${commit.version}`, commit]),
    );
    for (const { stream, version, hash } of followed) {
      const commit = commits.get(`${stream}@${version}`);
      if (commit?.hash === hash) await fold.add(commit);
      else fold.stop({ stream, version, fault: 'damaged' });
    }
    const last = due.at(-1);
    if (!last || due.length < entries.length) return fold.result();
    afterSeq = last.seq;
  }
}
