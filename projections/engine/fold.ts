/** Folds the log into the rows of a read model in memory, as of now or any time. For the doctor, auditors and tests. */
import { compareKeys } from '../../domain/entry.ts';
import { parseStream } from '../../domain/event.ts';
import type { Platform, Row, RowChange, StoredCommit } from '../../domain/ports.ts';
import { changesOf, type Fault, faultOf, updated } from './changes.ts';
import type { Projection } from './projection.ts';

/** A stream that the fold could not finish, and the commit at fault. */
export type Stopped = { stream: string; version: number; fault: Fault };

/** All rows, sorted by pk and sk in UTF-8 byte order. */
export type Folded = { rows: Row[]; stopped: Stopped[] };

export type Fold = {
  /**
   * Applies the next commit of its stream, and ignores stream types that the projection does not read. Throws when the
   * commit is out of order, or the platform fails.
   */
  add(commit: StoredCommit): Promise<void>;
  /** Ignores the rest of the stream. */
  stop(at: Stopped): void;
  result(): Folded;
};

/**
 * A fold that takes commits one by one, by the rules of the runner, and writes nothing. Commits of one stream come in
 * order. Streams may alternate in any way.
 */
export function foldOf(platform: Pick<Platform, 'blobs'>, projection: Projection): Fold {
  const rows = new Map<string, Row>();
  const reached = new Map<string, number>();
  const stopped = new Map<string, Stopped>();

  /** The row after the change. Throws the errors of `Rows.apply`. No row has changed then. */
  function rowAfter(change: RowChange): [rowName: string, row: Row | undefined] {
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
        throw new Error(`Commit ${version} of ${stream} is out of order. Add each stream from version 1 without gaps.`);
      reached.set(stream, version);
      try {
        const changes = (await changesOf(platform, projection, commit)).map(rowAfter);
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
      // Through JSON, as a platform returns rows.
      rows: (JSON.parse(JSON.stringify([...rows.values()])) as Row[]).sort(
        (a, b) => compareKeys(a.pk, b.pk) || compareKeys(a.sk, b.sk),
      ),
      stopped: [...stopped.values()],
    }),
  };
}

const ledgerPage = 200;

/**
 * The rows of a projection for one account, folded from its ledger. The fold stops at the first entry after `at` (UTC
 * ISO-8601). Without `at` it reads the whole ledger. On AWS the ledger lags by the relay's delay.
 */
export async function foldAsOf(
  platform: Platform,
  projection: Projection,
  account: string,
  at?: string,
): Promise<Folded> {
  const fold = foldOf(platform, projection);
  for (let afterSeq = 0; ; ) {
    const entries = await platform.events.ledger(account, { afterSeq, order: 'asc', limit: ledgerPage });
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
