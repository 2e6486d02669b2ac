/** A machine in memory for the API's conventions, with a clock that tests turn: what they use of the ports, as the ports promise it. */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type {
  Identity,
  JsonObject,
  KeyRing,
  Log,
  Machine,
  RecordKey,
  Records,
  RecordWrite,
  Rows,
  StoredRecord,
} from '../../domain/ports.ts';

export type LogLine = { level: 'info' | 'warn' | 'error'; message: string; fields: JsonObject | undefined; error: unknown };
export type MemoryMachine = Machine & {
  clock: { now: number };
  stored: Map<string, StoredRecord>;
  lines: LogLine[];
  /** Set where a projection stands. */
  project(projection: string, stream: string, version: number): void;
  addPerson(email: string, password: string, ids: { userId: string; accountId: string }): void;
};

export function memoryMachine(secrets: { [name: string]: string | undefined } = {}): MemoryMachine {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { records, stored } = memoryRecords(() => clock.now);
  const { rows, cursors } = memoryRows();
  const { identity, people } = memoryIdentity();
  const lines: LogLine[] = [];
  const values: { [name: string]: string | undefined } = { 'jwt-secret': 'a'.repeat(32), 'jwt-refresh-secret': 'b'.repeat(32), ...secrets };
  return {
    clock,
    stored,
    lines,
    records,
    rows,
    identity,
    keys: memoryKeys(),
    secrets: { get: async (name) => values[name] },
    now: () => clock.now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    log: memoryLog(lines),
    project: (projection, stream, version) => cursors.set(`${projection} ${stream}`, version),
    addPerson: (email, password, ids) => people.set(email, { password, ...ids }),
    events: notUsed('events'),
    blobs: notUsed('blobs'),
    queue: notUsed('queue'),
    bus: notUsed('bus'),
  };
}

function notUsed<T extends object>(port: string): T {
  return new Proxy({} as T, {
    get() {
      throw new Error(`the API's conventions do not use ${port}`);
    },
  });
}

function memoryRecords(now: () => number): { records: Records; stored: Map<string, StoredRecord> } {
  const stored = new Map<string, StoredRecord>();
  const name = ({ pk, sk }: RecordKey) => `${pk}\n${sk}`;
  const read = (key: RecordKey): StoredRecord | undefined => {
    const found = stored.get(name(key));
    if (!found || (found.expiresAt !== undefined && found.expiresAt <= Math.floor(now() / 1000))) return undefined;
    return structuredClone(found);
  };
  const holds = (write: RecordWrite): boolean => {
    const found = read(write);
    if (write.if === undefined) return true;
    if (write.if === 'absent') return found === undefined;
    if (write.if === 'present') return found !== undefined;
    return found !== undefined && Object.entries(write.if.equals).every(([field, value]) => isDeepStrictEqual(found.data[field], value));
  };
  const apply = (write: RecordWrite): void => {
    if (write.op === 'check') return;
    if (write.op === 'delete') {
      stored.delete(name(write));
      return;
    }
    const before = read(write);
    const data: JsonObject = write.op === 'put' ? { ...write.data } : { ...before?.data, ...write.set };
    if (write.op === 'add') for (const [field, more] of Object.entries(write.add ?? {})) data[field] = Number(data[field] ?? 0) + more;
    const expiresAt = write.expiresAt ?? (write.op === 'add' ? before?.expiresAt : undefined);
    if (JSON.stringify(data).length > 400 * 1024) throw new Error('an item is larger than 400 KB');
    stored.set(name(write), structuredClone({ pk: write.pk, sk: write.sk, data, ...(expiresAt === undefined ? {} : { expiresAt }) }));
  };
  const records: Records = {
    get: async (key) => read(key),
    getMany: async (keys) => keys.flatMap((key) => read(key) ?? []),
    async query(pk, { prefix = '', limit }) {
      const all = [...stored.values()].filter((record) => record.pk === pk && record.sk.startsWith(prefix) && read(record));
      return { items: structuredClone(all.sort((a, b) => (a.sk < b.sk ? -1 : 1)).slice(0, limit)), next: null };
    },
    async write(writes) {
      if (!writes.every(holds)) return false;
      writes.forEach(apply);
      return true;
    },
    async add(key, add, expiresAt) {
      apply({ op: 'add', ...key, add, ...(expiresAt === undefined ? {} : { expiresAt }) });
      return read(key)?.data ?? {};
    },
    async putMany(many) {
      for (const record of many) apply({ op: 'put', ...record });
    },
  };
  return { records, stored };
}

function memoryRows(): { rows: Rows; cursors: Map<string, number> } {
  const cursors = new Map<string, number>();
  const rows = { cursor: async (projection: string, stream: string) => cursors.get(`${projection} ${stream}`) ?? 0 };
  return { rows: rows as unknown as Rows, cursors };
}

function memoryIdentity() {
  const people = new Map<string, { password: string; userId: string; accountId: string }>();
  const identity: Identity = {
    register: async () => ({ outcome: 'taken' }),
    async signIn(email, password) {
      const person = people.get(email.toLowerCase());
      if (person?.password !== password) return { outcome: 'refused' };
      return { outcome: 'signed-in', userId: person.userId, accountId: person.accountId, email, name: 'Ada' };
    },
  };
  return { identity, people };
}

function memoryKeys(): KeyRing {
  const keys = new Map<string, Uint8Array | undefined>();
  const get = async (name: string) => {
    if (!keys.has(name)) keys.set(name, new Uint8Array(randomBytes(32)));
    return keys.get(name);
  };
  return {
    accountKey: get,
    subjectKey: (account, subject) => get(`${account} ${subject}`),
    destroySubject: async (account, subject) => void keys.set(`${account} ${subject}`, undefined),
    destroyAccount: async (account) => void keys.set(account, undefined),
    sign: async () => new Uint8Array(),
    publicKey: async () => '',
  };
}

function memoryLog(lines: LogLine[]): Log {
  const line = (level: LogLine['level']) => (message: string, fields?: JsonObject, error?: unknown) => {
    lines.push({ level, message, fields, error });
  };
  return { info: line('info'), warn: line('warn'), error: line('error') };
}
