/** Appends commits to the database in its arguments until it is killed. Prints each acknowledged commit. */
import { writeSync } from 'node:fs';
import { openDatabase } from '../../infra/embedded/database.ts';
import { makeEventStore } from '../../infra/embedded/event-store.ts';
import { makeSignal } from '../../infra/embedded/signal.ts';

const db = openDatabase(process.argv[2] ?? '');
const events = makeEventStore(db, makeSignal());

async function appendForEver(stream: string): Promise<void> {
  for (let version = 1; ; version++) {
    const hash = version.toString(16).padStart(64, '0');
    const commit = {
      stream,
      version,
      at: new Date(version).toISOString(),
      prevHash: hash,
      hash,
      body: { bytes: new Uint8Array(3000) },
    };
    if ((await events.append(commit)) === 'appended') writeSync(1, `${JSON.stringify({ stream, version })}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, i) => appendForEver(`acc/job/${process.pid}-${i}`)));
