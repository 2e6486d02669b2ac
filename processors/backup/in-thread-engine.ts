/** The engine in the calling thread, over the ports of the platform. Functions use it, and tests. */
import { presentPacks, registerPack } from '../../vault/pack-registry.ts';
import { memoryBody } from '../../vault/packer.ts';
import type { Deployment } from '../deployment.ts';
import type { Engine } from './engine.ts';
import { makeEngine } from './make-engine.ts';

/** The deployment's engine, else one in this thread for this piece of work. */
export function engineOf({ engine, platform }: Pick<Deployment, 'engine' | 'platform'>): Engine {
  return engine ?? inThreadEngine(platform);
}

export function inThreadEngine({ records, blobs, chunks, random, now }: Deployment['platform']): Engine {
  const store = (account: string) => ({ account, records, blobs });
  return makeEngine({
    ...{ blobs, chunks, random, now },
    register: (account, pack, record) => registerPack(store(account), pack, record),
    present: (account, packs) => presentPacks(store(account), packs),
    openBody: () => memoryBody(blobs),
    beat() {},
    keepSessionMs: 0,
  });
}
