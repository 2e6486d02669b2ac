/** A worker thread that restores the chunk index from the packs. */
import { parentPort, workerData } from 'node:worker_threads';
import { rebuildChunkIndex } from '../rebuild-chunk-index.ts';
import { fileBlobs } from './blobs.ts';
import { openChunkIndex } from './chunk-index.ts';
import type { WorkerSettings } from './engine-pool.ts';
import { remoteBlobs } from './remote-blobs.ts';
import { makePeer } from './rpc.ts';

const { index, files } = workerData as WorkerSettings;
if (!parentPort) throw new Error('index-worker.ts runs in a worker thread only');

const peer = makePeer(parentPort, async () => {
  const chunks = openChunkIndex(index);
  const restored = await rebuildChunkIndex({
    blobs: files ? fileBlobs(files.root, files.temporary) : remoteBlobs(peer),
    chunks,
    keysOf: (account) => peer.call('keysOf', [account]),
    warn: (...line) => void peer.call('warn', line),
    position: chunks.rebuildPosition,
  });
  chunks.setComplete();
  chunks.close();
  return restored;
});
