/** Wrapped keys as blobs below `keys/`: the second store of each key. */
import type { Blobs } from '../domain/ports.ts';
import type { KeyId, KeyStore, StoredKey } from './key-stores.ts';

const root = 'keys/';

export function blobKeys(blobs: Blobs): KeyStore {
  const putIfAbsent = async (id: KeyId, key: StoredKey) =>
    (await blobs.put(blobOf(id), toBytes(key), { ifAbsent: true })) === 'stored';

  return {
    async get(id) {
      const bytes = await blobs.get(blobOf(id));
      return bytes && parse(blobOf(id), bytes);
    },

    putIfAbsent,

    async replace(id, key) {
      if ('wrapped' in key) {
        await blobs.put(blobOf(id), toBytes(key));
        return;
      }
      // A tombstone over a key would leave the key as an older version. A reader may put the key back in between.
      do await blobs.delete([blobOf(id)]);
      while (!(await putIfAbsent(id, key)));
    },

    async list(page, account) {
      const { items, next } = await blobs.list(account === undefined ? root : `${root}${account}/`, page);
      return { items: items.map(({ key }) => idOf(key)), next };
    },
  };
}

/** `keys/{account}/account` and `keys/{account}/subject/{subject}`. */
function blobOf({ account, subject }: KeyId): string {
  return `${root}${account}/${subject === undefined ? 'account' : `subject/${subject}`}`;
}

function idOf(blob: string): KeyId {
  const [account = '', kind, ...subject] = blob.slice(root.length).split('/');
  return kind === 'account' ? { account } : { account, subject: subject.join('/') };
}

function toBytes(key: StoredKey): Uint8Array {
  const json = 'wrapped' in key ? { ...key, wrapped: Buffer.from(key.wrapped).toString('base64') } : key;
  return Buffer.from(JSON.stringify(json));
}

/** Never takes a damaged blob for a tombstone. */
function parse(blob: string, bytes: Uint8Array): StoredKey {
  try {
    const { destroyed, wrapped, revision, destroysAt } = JSON.parse(Buffer.from(bytes).toString());
    if (destroyed === true) return { destroyed };
    if (typeof wrapped === 'string' && Number.isInteger(revision))
      return {
        wrapped: new Uint8Array(Buffer.from(wrapped, 'base64')),
        revision,
        ...(typeof destroysAt === 'number' && { destroysAt }),
      };
  } catch {
    // As below.
  }
  throw new Error(`The blob ${blob} is damaged. Delete it, and the next read writes it again from the table.`);
}
