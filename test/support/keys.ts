/** The self-hosted key ring with its clock and its two stores, for the contract suite. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openBlobs } from '../../infra/embedded/blobs.ts';
import { openDatabase } from '../../infra/embedded/database.ts';
import { openKeyFile } from '../../infra/embedded/key-file.ts';
import { makeEmbeddedKeyRing } from '../../infra/embedded/key-ring.ts';
import type { KeyRingHarness } from '../contract/key-ring.ts';
import { silent, temporaryFolder } from './embedded.ts';

export const dayMs = 24 * 60 * 60_000;

export async function embeddedKeys(): Promise<KeyRingHarness & { close(): Promise<void> }> {
  const data = await temporaryFolder();
  const db = openDatabase(join(data, 'listbackup.db'));
  const blobs = await openBlobs(join(data, 'blobs'));
  const files = await openKeyFile(data, { mayCreate: () => true });
  let ahead = 0;
  const now = () => Date.now() + ahead;
  return {
    ...makeEmbeddedKeyRing(db, files, { blobs, log: silent, now, graceDays: 7 }),
    passDays(days) {
      ahead += days * dayMs;
    },
    async lose(store, account, subject) {
      if (store === 'blobs') await blobs.delete([keyBlob(account, subject)]);
      else
        await db.write(() => db.sql('DELETE FROM keys WHERE account = ? AND subject = ?').run(account, subject ?? ''));
    },
    async close() {
      await db.close();
      await rm(data, { recursive: true, force: true });
    },
  };
}

export function keyBlob(account: string, subject?: string): string {
  return `keys/${account}/${subject === undefined ? 'account' : `subject/${subject}`}`;
}
