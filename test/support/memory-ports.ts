/** Blobs, Records and ChunkIndex in memory that keep the promises of domain/ports.ts and count their calls. */
import type {
  Blobs,
  ByteRange,
  ChunkIndex,
  ChunkRef,
  JsonObject,
  RecordKey,
  Records,
  RecordWrite,
  StoredRecord,
} from '../../domain/ports.ts';

export type MemoryBlobs = Blobs & {
  stored: Map<string, Uint8Array>;
  puts: string[];
  gets: { key: string; range?: ByteRange }[];
};

export function memoryBlobs(): MemoryBlobs {
  const stored = new Map<string, Uint8Array>();
  const puts: string[] = [];
  const uploads: Map<number, Uint8Array>[] = [];
  const gets: { key: string; range?: ByteRange }[] = [];
  return {
    stored,
    puts,
    gets,
    async put(key, body, options) {
      const bytes = await collect(body);
      if (options?.ifAbsent && stored.has(key)) return 'exists';
      stored.set(key, bytes);
      puts.push(key);
      return 'stored';
    },
    async get(key, range) {
      gets.push(range ? { key, range } : { key });
      const bytes = stored.get(key);
      return bytes && range ? bytes.slice(range.offset, range.offset + range.length) : bytes?.slice();
    },
    async size(key) {
      return stored.get(key)?.length;
    },
    async list(prefix, { limit, cursor }) {
      const keys = [...stored.keys()].filter((key) => key.startsWith(prefix) && key > (cursor ?? '')).sort();
      const items = keys.slice(0, limit).map((key) => ({ key, size: stored.get(key)?.length ?? 0 }));
      return { items, next: keys.length > limit ? (items.at(-1)?.key ?? null) : null };
    },
    async delete(keys) {
      for (const key of keys) stored.delete(key);
    },
    async startUpload() {
      uploads.push(new Map());
      return String(uploads.length - 1);
    },
    async putPart(_key, upload, part, bytes) {
      uploads[Number(upload)]?.set(part, bytes.slice());
    },
    async completeUpload(key, upload, count) {
      const parts = uploads[Number(upload)];
      const bytes = Array.from({ length: count }, (_, n) => parts?.get(n + 1) ?? new Uint8Array());
      if (!stored.has(key)) stored.set(key, new Uint8Array(Buffer.concat(bytes)));
    },
    async abortUpload(_key, upload) {
      uploads[Number(upload)]?.clear();
    },
  };
}

async function collect(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return new Uint8Array(body);
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

export type MemoryRecords = Records & { stored: Map<string, StoredRecord>; lookUps: number };

export function memoryRecords(): MemoryRecords {
  const stored = new Map<string, StoredRecord>();
  const name = ({ pk, sk }: RecordKey) => `${pk}\n${sk}`;
  const read = (key: RecordKey) => structuredClone(stored.get(name(key)));

  function holds(write: RecordWrite): boolean {
    const data = read(write)?.data;
    if (write.if === undefined) return true;
    if (write.if === 'absent') return data === undefined;
    if (write.if === 'present') return data !== undefined;
    return Object.entries(write.if.equals).every(
      ([field, value]) => JSON.stringify(data?.[field]) === JSON.stringify(value),
    );
  }

  function apply(write: RecordWrite): void {
    if (write.op === 'delete') stored.delete(name(write));
    if (write.op === 'put') stored.set(name(write), structuredClone({ pk: write.pk, sk: write.sk, data: write.data }));
    if (write.op !== 'add') return;
    const data: JsonObject = { ...read(write)?.data, ...write.set };
    for (const [field, more] of Object.entries(write.add ?? {})) data[field] = Number(data[field] ?? 0) + more;
    stored.set(name(write), { pk: write.pk, sk: write.sk, data });
  }

  const records: MemoryRecords = {
    stored,
    lookUps: 0,
    async get(key) {
      return read(key);
    },
    async getMany(keys) {
      records.lookUps++;
      return keys.flatMap((key) => read(key) ?? []);
    },
    async query(pk, { prefix = '', limit, cursor = '' }) {
      const all = [...stored.values()].filter(
        (record) => record.pk === pk && record.sk.startsWith(prefix) && record.sk > cursor,
      );
      const items = all.sort((a, b) => (a.sk < b.sk ? -1 : 1)).slice(0, limit);
      return { items: structuredClone(items), next: all.length > limit ? (items.at(-1)?.sk ?? null) : null };
    },
    async write(writes) {
      if (!writes.every(holds)) return false;
      writes.forEach(apply);
      return true;
    },
    async add(key, add) {
      apply({ op: 'add', ...key, add });
      return read(key)?.data ?? {};
    },
    async putMany(many) {
      for (const record of many) apply({ op: 'put', ...record });
    },
  };
  return records;
}

export type MemoryChunks = ChunkIndex & { stored: Map<string, ChunkRef>; lookUps: number };

/** `stored` has the chunks of all accounts, by account and id. */
export function memoryChunks(): MemoryChunks {
  const stored = new Map<string, ChunkRef>();
  const chunks: MemoryChunks = {
    stored,
    lookUps: 0,
    async find(account, ids) {
      chunks.lookUps++;
      const found = ids.map((id) => ({ id, ref: stored.get(`${account} ${id}`) }));
      return new Map(found.flatMap(({ id, ref }): [string, ChunkRef][] => (ref ? [[id, { ...ref }]] : [])));
    },
    async add(account, more) {
      for (const [id, ref] of more) stored.set(`${account} ${id}`, { ...ref });
    },
    async *scan(account) {
      for (const [name, ref] of stored) {
        const [of, id = ''] = name.split(' ');
        if (of === account) yield { id, ref: { ...ref } };
      }
    },
  };
  return chunks;
}
