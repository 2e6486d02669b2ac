/** The `ChunkIndex` port over `Records`: one record for each chunk. */
import type { ChunkIndex, ChunkRef, RecordKey, Records, StoredRecord } from '../../domain/ports.ts';

/** 256 partitions an account, so that no partition becomes hot or too large. */
function recordKey(account: string, id: string): RecordKey {
  return { pk: `chunk/${account}/${id.slice(0, 2)}`, sk: id };
}

/** Most partitions have one page, so the latency of the first queries dominates. */
const parallelQueries = 32;

export function awsChunkIndex(records: Records): ChunkIndex {
  return {
    async find(account, ids) {
      const found = await records.getMany(ids.map((id) => recordKey(account, id)));
      return new Map(found.map((record) => [record.sk, refOf(record)]));
    },

    async add(account, chunks) {
      await records.putMany([...chunks].map(([id, ref]) => recordOf(account, id, ref)));
    },

    async *scan(account) {
      const all = Array.from({ length: 256 }, (_, n) => recordKey(account, n.toString(16).padStart(2, '0')).pk);
      for (let done = 0; done < all.length; done += parallelQueries) {
        const started = all
          .slice(done, done + parallelQueries)
          .map((pk) => ({ pk, first: records.query(pk, { limit: 1000 }).catch(() => undefined) }));
        for (const { pk, first } of started) {
          try {
            let page = await first;
            for (;;) {
              if (!page) throw new Error('the first page cannot be read');
              for (const record of page.items) yield { id: record.sk, ref: refOf(record) };
              if (!page.next) break;
              page = await records.query(pk, { limit: 1000, cursor: page.next });
            }
          } catch {
            yield { unreadable: pk };
          }
        }
      }
    },
  };
}

function recordOf(account: string, id: string, ref: ChunkRef): StoredRecord {
  const { pack, slot, slotOffset, slotLength, offset, length } = ref;
  return { ...recordKey(account, id), data: { p: pack, s: slot, a: slotOffset, n: slotLength, o: offset, l: length } };
}

function refOf(record: StoredRecord): ChunkRef {
  const { p, s, a, n, o, l } = record.data;
  return {
    pack: String(p),
    slot: Number(s),
    slotOffset: Number(a),
    slotLength: Number(n),
    offset: Number(o),
    length: Number(l),
  };
}
