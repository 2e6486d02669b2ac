/** The `KeyRing` port on a key file and SQLite. */
import { sign } from 'node:crypto';
import type { KeyRing } from '../../domain/ports.ts';
import { decryptBytes, encryptBytes, makeKeyRing } from '../key-ring.ts';
import type { Database } from './database.ts';
import type { MachineKeys } from './key-file.ts';

export function makeEmbeddedKeyRing(db: Database, keys: MachineKeys, now: () => number): KeyRing {
  const wrapping = keys.derive('account keys');
  return makeKeyRing({
    wrap: async (key, context) => encryptBytes(wrapping, key, context),
    unwrap: async (wrapped, context) => decryptBytes(wrapping, wrapped, context),
    store: {
      async get({ account, subject = '' }) {
        const row = db.sql('SELECT wrapped FROM keys WHERE account = ? AND subject = ?').get(account, subject);
        if (!row) return undefined;
        return row.wrapped instanceof Uint8Array ? { wrapped: row.wrapped } : { destroyed: true };
      },
      putIfAbsent: ({ account, subject = '' }, key) =>
        db.write(
          () =>
            db
              .sql('INSERT INTO keys (account, subject, wrapped) VALUES (?, ?, ?) ON CONFLICT DO NOTHING')
              .run(account, subject, 'wrapped' in key ? key.wrapped : null).changes === 1,
        ),
      async replace({ account, subject = '' }, key) {
        await db.write(() =>
          db
            .sql(
              'INSERT INTO keys (account, subject, wrapped) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET wrapped = excluded.wrapped',
            )
            .run(account, subject, 'wrapped' in key ? key.wrapped : null),
        );
        // Otherwise the destroyed key would stay in the write-ahead log.
        db.checkpoint();
      },
    },
    sign: async (bytes) => new Uint8Array(sign('sha256', bytes, keys.signing)),
    publicKey: async () => keys.publicKey,
    now,
  });
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
