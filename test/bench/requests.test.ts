/** The requests of a backup to a bucket. At most 60 for the first backup of the corpus `bench`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openCorpus } from '../../bench/corpus.ts';
import { countRequests, requestTable } from '../../bench/requests.ts';
import { defaultLimits } from '../../processors/limits.ts';

const scale = 0.04;
const packSize = 24 * 1024 * 1024;
const largeFile = 5 * 1024 * 1024;
const besidePacks = { 'PUT manifests': 1 };
/** The manifest, and the list of working blobs of a run of several batches. */
const besidePacksAtFullScale = 2;

/** Each batch ends at most one pack before it is full. A batch has limits on files and folders, and on bytes. */
function maxPacks(ofScale: number, stored: number): number {
  const small = Math.ceil((10_100 * ofScale) / defaultLimits.batchItems);
  const large = Math.ceil((200 * ofScale * largeFile) / defaultLimits.batchBytes);
  return Math.floor(stored / packSize) + small + large;
}

it.runIf(process.platform === 'linux')('puts packs and one blob of metadata, whatever the size', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'listbackup-requests-test-'));
  try {
    const corpus = await openCorpus(folder, { scale });
    const counts = await countRequests(corpus, join(folder, 'work'), ['listbackup'], () => {});
    const [first, unchanged, changed] = counts[0]?.phases ?? [];
    const packs = first?.kinds['PUT packs'] ?? 0;
    const stored = first?.bytes ?? 0;
    expect(stored, 'more than a pack').toBeGreaterThan(packSize);
    expect(first?.kinds).toEqual({ 'PUT packs': packs, ...besidePacks });
    expect(packs).toBeLessThanOrEqual(maxPacks(scale, stored));
    const atFullScale = maxPacks(1, stored / scale) + besidePacksAtFullScale;
    expect(atFullScale).toBeLessThanOrEqual(60);

    // The run lists packs and metadata packs, to find lost ones. S3 prices a listing as a write.
    expect(unchanged).toMatchObject({ requests: { writes: 2, deletes: 0 }, bytes: 0 });
    expect(unchanged?.kinds).toMatchObject({ 'LIST packs': 1, 'LIST manifests': 1 });
    expect(changed?.kinds).toMatchObject({ 'PUT packs': 1, 'PUT manifests': 1 });
    expect(changed?.bytes).toBeGreaterThan(4 * 1024);
    expect(requestTable(counts).split('\n')[2]).toBe(
      `| first | ListBackup | ${packs + 1} | 0 | 0 | ${stored} | PUT packs ${packs}, PUT manifests 1 |`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
