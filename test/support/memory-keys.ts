/** The first store of keys, in memory. It counts its reads. */
import type { KeyId, KeyStore, StoredKey } from '../../infra/key-stores.ts';

export function rowName({ account, subject = '' }: KeyId): string {
  return `${account}/${subject}`;
}

export function memoryTable(): KeyStore & { keys: Map<string, StoredKey>; reads: number } {
  const keys = new Map<string, StoredKey>();
  const table = {
    keys,
    reads: 0,
    async get(id: KeyId) {
      table.reads++;
      return keys.get(rowName(id));
    },
    async putIfAbsent(id: KeyId, key: StoredKey) {
      if (keys.has(rowName(id))) return false;
      keys.set(rowName(id), key);
      return true;
    },
    async replace(id: KeyId, key: StoredKey) {
      keys.set(rowName(id), key);
    },
    async list({ limit, cursor = '' }: { limit: number; cursor?: string }, within?: string) {
      const names = [...keys.keys()].filter((name) => name > cursor && name.startsWith(within ? `${within}/` : ''));
      const page = names.sort().slice(0, limit);
      const items = page.map((name) => {
        const [account = '', subject] = name.split('/');
        return subject ? { account, subject } : { account };
      });
      return { items, next: names.length > limit ? (page.at(-1) ?? null) : null };
    },
  };
  return table;
}
