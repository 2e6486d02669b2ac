/**
 * The scheduler of trouble: slow calls, refused calls, calls that were done and lost their answer, attempts that break off at a boundary, at
 * moments that a seed picks. `makeWorld({ seed })` has it all, with feeds and queues that repeat, shuffle and delay; a box that is killed
 * is in lives.ts, and calls of AWS that go wrong on the wire are in fault-proxy.ts.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Platform } from '../../domain/ports.ts';
import type { Chaos } from '../../infra/embedded/chaos.ts';

/** The seeds of a test: as many as it names; `LISTBACKUP_SEEDS=100` of them, or `LISTBACKUP_SEED=7` alone. */
export function someSeeds(usually: number): number[] {
  const { LISTBACKUP_SEED: one, LISTBACKUP_SEEDS: many } = process.env;
  return one ? [Number(one)] : Array.from({ length: Number(many ?? usually) }, (_, i) => i + 1);
}

class InjectedFault extends Error {}

const ports = ['events', 'rows', 'records', 'blobs', 'queue'] as const;
const writes = new Set(['append', 'apply', 'write', 'add', 'putMany', 'put', 'send']);

export type Shares = { slow: number; refused: number; lost: number; brokenOff: number };
const usualShares: Shares = { slow: 0.1, refused: 0.01, lost: 0.02, brokenOff: 0.05 };

export type FaultSchedule = {
  /** The machine, its calls in trouble. */
  watch(platform: Platform): Platform;
  /** For `Home.reached`. */
  reached(step: string): void;
  /** Tries again as long as it is our trouble that it fails by. */
  untilDone(work: () => Promise<void>): Promise<void>;
  /** How much went wrong so far. */
  count(): number;
};

export function withFaults({ chance, below }: Chaos, shares: Partial<Shares> = {}): FaultSchedule {
  const { slow, refused, lost, brokenOff } = { ...usualShares, ...shares };
  let count = 0;

  function fail(what: string): never {
    count++;
    throw new InjectedFault(what);
  }

  function withFaultsIn<T extends object>(port: T, name: string): T {
    return new Proxy(port, {
      get(target, method: string) {
        const call = Reflect.get(target, method) as unknown;
        if (typeof call !== 'function') return call;
        return async (...args: unknown[]) => {
          for (let turns = chance(slow) ? 1 + below(10) : 0; turns > 0; turns--) await turn();
          if (chance(refused)) fail(`${name}.${method} was refused`);
          const result = await call.apply(target, args);
          if (writes.has(method) && chance(lost)) fail(`the answer of ${name}.${method} was lost`);
          return result;
        };
      },
    });
  }

  return {
    watch: (platform) => ({
      ...platform,
      ...Object.fromEntries(ports.map((name) => [name, withFaultsIn(platform[name], name)])),
    }),
    reached(step) {
      if (chance(brokenOff)) fail(`broken off at ${step}`);
    },
    async untilDone(work) {
      for (;;) {
        try {
          return await work();
        } catch (error) {
          if (!(error instanceof InjectedFault)) throw error;
        }
      }
    },
    count: () => count,
  };
}
