/**
 * A worker thread for engine-pool.test.ts. The run id of a request names the behaviour. Behaviours that do not end by
 * themselves first call `advance`, so that the test knows that the work is in hand.
 */
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { SourceProblem } from '../../../connectors/connector.ts';
import { Problem } from '../../../domain/errors.ts';
import { movingPut } from '../../../infra/embedded/remote-blobs.ts';
import { fromWire, makePeer, type WireError } from '../../../infra/embedded/rpc.ts';
import { TaskStopped } from '../../../tasks/task.ts';
import { VaultDamage } from '../../../vault/damage.ts';

const port = parentPort;
if (!port) throw new Error('fake-engine-worker.ts runs in a worker thread only');

export const thrown = {
  source: () => new SourceProblem('throttled', 'Slow down.', { retryable: true, retryAfterSeconds: 17 }),
  sourceWithoutPause: () => new SourceProblem('unusable', 'Wrong settings.'),
  problem: () => new Problem('storage-full', 'The disk is full.', { extra: { retryAfter: 5 } }),
  damage: () => new VaultDamage('pack', 'pak_1 is missing'),
  cancelled: () => new TaskStopped('cancelled'),
  other: () => new RangeError('out of range'),
  text: () => 'just a text',
};

const stops = new Map<number, (reason: Error) => void>();
/** Lets the work go on that ignores its stop. */
let release: (() => void) | undefined;

const peer = makePeer(port, async (target, args) => {
  const [work, request, source] = args as [number, { runRef: { runId: string } }, number];
  if (target === 'stop') return stops.get(work)?.(fromWire(args[1] as WireError));
  const [, behaviour = '', detail = ''] = request.runRef.runId.match(/^(\S+) ?(.*)$/) ?? [];
  const advance = (value: unknown) => peer.call<unknown>('work.advance', [work, value]);
  switch (behaviour) {
    case 'throw':
      throw thrown[detail as keyof typeof thrown]();
    case 'answer':
      return { target, request };
    case 'ask':
      return advance('question');
    case 'thread':
      await advance('here');
      return threadId;
    case 'register':
      await peer.call('register', ['acc_1', 'pak_1', { state: 'live', bytes: 3, epoch: 0, run: 'run_1' }]);
      return peer.call('present', ['acc_1', ['pak_1', 'pak_2']]);
    case 'blob':
      await peer.call('blobs.put', ['packs/acc_1/1/pak_1', Uint8Array.of(1, 2, 3), { ifAbsent: true }]);
      return peer.call('blobs.get', ['packs/acc_1/1/pak_1', { offset: 1, length: 1 }]);
    case 'wait': {
      const stopped = new Promise<Error>((resolve) => stops.set(work, resolve));
      await advance('waiting');
      throw await stopped;
    }
    case 'ignore':
      await advance(threadId);
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return advance('released');
    case 'release':
      return release?.();
    case 'exit':
      return process.exit(3);
    case 'crash':
      return new Promise(() => {
        setImmediate(() => {
          throw new Error('a bug outside of any call');
        });
      });
    case 'chat':
      while (await advance('still here'));
      return threadId;
    case 'move': {
      const memory = new Uint8Array(8).fill(7);
      const put = movingPut(peer).put('packs/acc_1/1/pak_2', memory.subarray(0, 3));
      const left = memory.byteLength;
      await put;
      return left;
    }
    case 'alive':
      setInterval(() => port.postMessage({ alive: true }), 50);
      await advance('alive');
      return new Promise(() => {});
    case 'block':
      // A stop that comes before the answer would still be heard.
      void advance('blocking');
      if (detail === 'in the source') Atomics.store(workerData.blocking, 0, source);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      return undefined;
    default:
      throw new Error(`unknown behaviour ${behaviour}`);
  }
});
