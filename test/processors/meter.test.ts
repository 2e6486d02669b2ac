import { expect, it } from 'vitest';
import type { Platform, StoredRecord } from '../../domain/ports.ts';
import { metered } from '../../processors/meter.ts';
import { memoryBlobs, memoryRecords } from '../support/memory-ports.ts';

it('counts and prices the requests that the ports charge for', async () => {
  const sent: unknown[] = [];
  const queue = { send: async (_name: string, messages: unknown[]) => void sent.push(...messages) };
  const ports = { blobs: memoryBlobs(), records: memoryRecords(), queue } as unknown as Platform;
  const prices = { blobWrite: 1, blobRead: 10, recordWrite: 100, recordRead: 1000, message: 10_000 };
  const { platform, count, cost } = metered(ports, prices);
  const [one, two]: [StoredRecord, StoredRecord] = [
    { pk: 'p', sk: '1', data: {} },
    { pk: 'p', sk: '2', data: {} },
  ];
  await platform.blobs.put('blob', Buffer.from('content'));
  expect(await platform.blobs.get('blob', { offset: 0, length: 3 })).toHaveLength(3);
  await platform.records.write([{ op: 'put', ...one }]);
  await platform.records.write([
    { op: 'put', ...one },
    { op: 'put', ...two },
  ]);
  await platform.records.putMany([one, two]);
  expect(await platform.records.getMany([one, two])).toHaveLength(2);
  await platform.queue.send('job', [{ body: {} }, { body: {} }, { body: {} }]);
  count({ blobRead: 5 });
  expect(cost()).toEqual({ requests: 1 + 6 + 7 + 2 + 3, usd: 1 + 60 + 700 + 2000 + 30_000 });
  expect(sent).toHaveLength(3);
});
