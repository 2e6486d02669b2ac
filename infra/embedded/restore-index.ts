/** Restores the chunk index in a thread of its own, so that the main thread answers requests meanwhile. */
import { Worker } from 'node:worker_threads';
import type { Blobs, KeyRing, Log } from '../../domain/ports.ts';
import { deriveVaultKeys } from '../../vault/keys.ts';
import type { EmbeddedChunkIndex } from './chunk-index.ts';
import type { WorkerSettings } from './engine-pool.ts';
import { serveBlobs } from './remote-blobs.ts';
import { makePeer } from './rpc.ts';

type Ports = { blobs: Blobs; chunks: EmbeddedChunkIndex; keys: KeyRing; log: Log };

/**
 * Starts a rebuild unless the index is complete. Backups may run meanwhile. At worst they store content again. Returns
 * a function that ends the thread. The next start goes on.
 */
export function restoreIndex(settings: WorkerSettings, { blobs, chunks, keys, log }: Ports): () => Promise<void> {
  if (chunks.isComplete()) return async () => {};
  let stopped = false;
  let stop = async () => {};

  async function restore(): Promise<void> {
    const { items } = await blobs.list('packs/', { limit: 1 });
    if (stopped) return;
    if (items.length === 0) return chunks.setComplete();
    const worker = new Worker(new URL('./index-worker.ts', import.meta.url), {
      name: 'chunk index',
      execArgv: ['--disable-warning=ExperimentalWarning'],
      workerData: settings,
      resourceLimits: { maxOldGenerationSizeMb: 512 },
    });
    const peer = makePeer(worker, async (target, args) => {
      if (target.startsWith('blobs.')) return serveBlobs(blobs, target.slice('blobs.'.length), args);
      if (target === 'warn') return log.warn(...(args as Parameters<Log['warn']>));
      const key = await keys.accountKey(args[0] as string);
      return key && deriveVaultKeys(key);
    });
    worker.unref();
    worker.on('error', (error) => peer.end(error));
    worker.on('exit', (code) => peer.end(new Error(`the thread ended (${code})`)));
    stop = async () => void (await worker.terminate());
    try {
      const packs = await peer.call<number>('rebuild', []);
      if (packs > 0) log.warn('the chunk index was missing or damaged and has been restored', { packs });
    } finally {
      await stop();
    }
  }

  const restoring = restore().catch((error) => {
    if (!stopped) log.error('the chunk index could not be restored', {}, error);
  });
  return async () => {
    stopped = true;
    await stop();
    await restoring;
  };
}
