/** The `KeyRing` port on a key file and SQLite. */
import { sign } from 'node:crypto';
import type { KeyRing } from '../../domain/ports.ts';
import { decryptBytes, encryptBytes, type KeyRingOptions, makeKeyRing } from '../key-ring.ts';
import type { KeyId, KeyStore, StoredKey } from '../key-stores.ts';
import type { Database } from './database.ts';
import type { MachineKeys } from './key-file.ts';

export function makeEmbeddedKeyRing(db: Database, keys: MachineKeys, options: KeyRingOptions): KeyRing {
  const wrapping = keys.derive('account keys');
  return makeKeyRing({
    ...options,
    wrap: async (key, context) => encryptBytes(wrapping, key, context),
    unwrap: async (wrapped, context) => decryptBytes(wrapping, wrapped, context),
    table: keyTable(db),
    sign: async (bytes) => new Uint8Array(sign('sha256', bytes, keys.signing)),
    publicKey: async () => keys.publicKey,
  });
}

function keyTable(db: Database): KeyStore {
  const insert = 'INSERT INTO keys (account, subject, wrapped, revision, destroys_at) VALUES (?, ?, ?, ?, ?)';
  const valuesOf = ({ account, subject = '' }: KeyId, key: StoredKey) =>
    'wrapped' in key
      ? [account, subject, key.wrapped, key.revision, key.destroysAt ?? null]
      : [account, subject, null, 0, null];

  return {
    async get({ account, subject = '' }) {
      const row = db
        .sql('SELECT wrapped, revision, destroys_at FROM keys WHERE account = ? AND subject = ?')
        .get(account, subject);
      if (!row) return undefined;
      const { wrapped, revision, destroys_at: destroysAt } = row;
      if (!(wrapped instanceof Uint8Array)) return { destroyed: true };
      return { wrapped, revision: Number(revision), ...(destroysAt !== null && { destroysAt: Number(destroysAt) }) };
    },

    putIfAbsent: (id, key) =>
      db.write(() => db.sql(`${insert} ON CONFLICT DO NOTHING`).run(...valuesOf(id, key)).changes === 1),

    async replace(id, key) {
      await db.write(() =>
        db
          .sql(
            `${insert} ON CONFLICT DO UPDATE SET
             wrapped = excluded.wrapped, revision = excluded.revision, destroys_at = excluded.destroys_at`,
          )
          .run(...valuesOf(id, key)),
      );
      // Otherwise the destroyed key would stay in the write-ahead log.
      db.checkpoint();
    },

    async list({ limit, cursor }, account) {
      const rows = db
        .sql(
          `SELECT account, subject FROM keys
           WHERE (account, subject) > (?, ?) AND (? IS NULL OR account = ?) ORDER BY account, subject LIMIT ?`,
        )
        .all(...(cursor === undefined ? ['', ''] : JSON.parse(cursor)), account ?? null, account ?? null, limit);
      const items = rows.map(({ account, subject }) => ({
        account: String(account),
        ...(subject !== '' && { subject: String(subject) }),
      }));
      const last = rows.length === limit ? rows.at(-1) : undefined;
      return { items, next: last ? JSON.stringify([last.account, last.subject]) : null };
    },
  };
}

/** In earlier versions (revision 0) an account got the key for its own personal data with its first job. */
export async function completeKeys(db: Database, ring: KeyRing): Promise<void> {
  const accounts = db
    .sql(
      `SELECT account FROM keys WHERE subject = '' AND revision = 0 AND wrapped IS NOT NULL
       AND account NOT IN (SELECT account FROM keys WHERE subject = account)`,
    )
    .all();
  for (const { account } of accounts) await ring.createSubject(String(account), String(account));
}

/**
 * Throws if the key file unwraps no account key. Then it belongs to another data folder,
 * and new data would be encrypted with keys that the right file cannot unwrap.
 */
export async function requireMatchingKeys(db: Database, ring: KeyRing): Promise<void> {
  const accounts = db.sql("SELECT account FROM keys WHERE subject = '' AND wrapped IS NOT NULL LIMIT 10").all();
  const results = await Promise.allSettled(accounts.map(({ account }) => ring.accountKey(String(account))));
  if (results.length === 0 || results.some(({ status }) => status === 'fulfilled')) return;
  throw new Error(
    'The keys.json of the data folder belongs to another data folder. Restore the right keys.json from a copy.',
  );
}
