/** Blobs that are not files are read and written by the main thread, which has the client. */
import type { Blobs } from '../../domain/ports.ts';
import type { Peer } from './rpc.ts';

/** For a worker thread. */
export function remoteBlobs(peer: Peer): Blobs {
  const methods = [
    ...(['put', 'get', 'size', 'list', 'delete'] as const),
    ...(['startUpload', 'putPart', 'completeUpload', 'abortUpload'] as const),
  ];
  return Object.fromEntries(
    methods.map((method) => [method, (...args: unknown[]) => peer.call(`blobs.${method}`, args)]),
  ) as unknown as Blobs;
}

/**
 * Puts bytes without a copy between the threads. The memory below them is lost, so it must hold nothing else.
 */
export function movingPut(peer: Peer): Pick<Blobs, 'put'> {
  return {
    put: (key, body, options) =>
      peer.call('blobs.put', [key, body, options], body instanceof Uint8Array ? [body.buffer as ArrayBuffer] : []),
  };
}

/** For the main thread: answers a call of `remoteBlobs` or `movingPut`. */
export function serveBlobs(blobs: Blobs, method: string, args: unknown[]): unknown {
  return (blobs[method as keyof Blobs] as (...all: unknown[]) => unknown)(...args);
}
