import { expect, it, onTestFinished } from 'vitest';
import { readFile } from '../../vault/read-file.ts';
import { openWorkerPool } from '../../vault/worker-pool.ts';
import { openWriter } from '../../vault/writer.ts';
import { gather, memoryVault, noise, sliced } from './vault-fixture.ts';

it('what went through worker threads comes back as it was, large and small, dense and not', async () => {
  const workers = openWorkerPool(2);
  onTestFinished(() => workers.close());
  const vault = memoryVault();
  const writer = openWriter({ ...vault, workers });
  onTestFinished(() => writer.close());
  const contents = [noise(6 * 1024 * 1024), Buffer.from('1,2,3\n'.repeat(1_000_000)), noise(100_000, 'middling'), Buffer.from('small')];
  const stored = await Promise.all(contents.map((content) => writer.store(sliced(content))));
  const { bytesStored } = await writer.finish();
  expect(bytesStored).toBeGreaterThan(6 * 1024 * 1024);
  for (const [i, { sha256, chunks }] of stored.entries()) {
    const back = await gather(readFile(vault, { key: 'k', sha256, chunks }));
    expect(back.equals(contents[i] ?? new Uint8Array())).toBe(true);
  }
});
