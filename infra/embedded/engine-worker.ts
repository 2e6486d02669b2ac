/** A worker thread of the engine pool. It opens sources and the chunk index itself, and calls the pool for the rest. */
import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import type { CommitCalls, PlanRequest, StoreCalls } from '../../processors/backup/engine.ts';
import { makeEngine } from '../../processors/backup/make-engine.ts';
import { memoryBody } from '../../vault/packer.ts';
import { fileBlobs } from './blobs.ts';
import { openChunkIndex } from './chunk-index.ts';
import type { WorkerData } from './engine-pool.ts';
import { fileBody } from './pack-body.ts';
import { movingPut, remoteBlobs } from './remote-blobs.ts';
import { fromWire, makePeer, type WireError } from './rpc.ts';

const { index, files, blocking } = workerData as WorkerData;
const port = parentPort;
if (!port) throw new Error('engine-worker.ts runs in a worker thread only');

/** The thread lets messages in after this time (ms). */
const turnMs = 20;
/** The pool hears of the thread at least this often (ms). */
const aliveMs = 5_000;
/** A session stays open for the next batches of its run. */
const keepSessionMs = 5_000;

let lastTurn = performance.now();
let lastAlive = performance.now();
const alive = () => {
  lastAlive = performance.now();
  port.postMessage({ alive: true });
};
setInterval(alive, aliveMs).unref();

const stops = new Map<number, AbortController>();
const peer = makePeer(port, (target, args) => {
  const [work, request, source] = args as [number, never, number];
  if (target === 'stop') return stops.get(work)?.abort(fromWire(request as WireError));
  const stop = new AbortController();
  stops.set(work, stop);
  const call = (name: string) => (value: unknown) => peer.call(`work.${name}`, [work, value]) as Promise<never>;
  const done = () => void stops.delete(work);
  const { context } = (request as Partial<PlanRequest>).source ?? {};
  if (context) context.blocking = (isBlocking) => void Atomics.store(blocking, 0, isBlocking ? source : 0);
  switch (target) {
    case 'plan':
      return engine.plan(request, { advance: call('advance') }, stop.signal).finally(done);
    case 'store':
      return engine.store(request, storeCalls(call), stop.signal).finally(done);
    case 'commit':
      return engine.commit(request, commitCalls(call), stop.signal).finally(done);
    default:
      throw new Error(`the engine has no method ${target}`);
  }
});

type Call = (name: string) => (value: unknown) => Promise<never>;

function commitCalls(call: Call): CommitCalls {
  const isOver = call('isOver');
  return { part: call('part'), checkpoint: call('checkpoint'), isOver: () => isOver(undefined) };
}

function storeCalls(call: Call): StoreCalls {
  const isOver = call('isOver');
  return { reached: call('reached'), checkpoint: call('checkpoint'), isOver: () => isOver(undefined) };
}

const blobs = files ? fileBlobs(files.root, files.temporary) : remoteBlobs(peer);
const chunks = openChunkIndex(index);

const engine = makeEngine({
  blobs,
  chunks,
  register: (...args) => peer.call('register', args),
  present: (...args) => peer.call('present', args),
  openBody: () => (files ? fileBody(files.root, files.temporary) : memoryBody(movingPut(peer))),
  random: (bytes) => new Uint8Array(randomBytes(bytes)),
  now: Date.now,
  beat() {
    const now = performance.now();
    if (now - lastAlive >= aliveMs) alive();
    if (now - lastTurn < turnMs) return;
    return turn().then(() => {
      lastTurn = performance.now();
    });
  },
  keepSessionMs,
});
