/** Blobs of content in clear, made for someone to download: each is noted before it is made, and deleted within a day. */
import type { Machine } from '../domain/ports.ts';

/** Also the prefix of S3's lifecycle rule, which takes away whatever slips through here. */
export function exportKey(account: string, name: string): string {
  return `exports/${account}/${name}`;
}

const noted = 'exports';

/** To be called before the blob is put. `until`: ISO-8601 UTC. */
export async function noteExport(machine: Pick<Machine, 'records'>, blob: string, until: string): Promise<void> {
  await machine.records.putMany([{ pk: noted, sk: `${until}#${blob}`, data: { blob } }]);
}

/** Deletes all whose time has come. The note goes last, so that a sudden end leaves nothing behind. */
export async function removeExpiredExports(machine: Pick<Machine, 'records' | 'blobs' | 'now'>): Promise<void> {
  const now = new Date(machine.now()).toISOString();
  for (;;) {
    const { items } = await machine.records.query(noted, { limit: 50 });
    const due = items.filter(({ sk }) => sk.slice(0, now.length) <= now);
    if (due.length === 0) return;
    await machine.blobs.delete(due.map(({ data }) => String(data.blob)));
    await machine.records.write(due.map(({ pk, sk }) => ({ op: 'delete', pk, sk })));
  }
}
