/**
 * Injects faults at moments that a seed picks. Calls are slow, refused, or lose their answer after they took effect.
 * Attempts break off at boundaries. `makeWorld({ seed })` adds feeds and queues that repeat, shuffle
 * and delay. For processes that are killed see restarts.ts, for faults between the SDK and AWS see fault-proxy.ts.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import type { Chaos } from '../../infra/embedded/chaos.ts';

/** The seeds 1 to `usual`. `LISTBACKUP_SEEDS=100` asks for more of them, `LISTBACKUP_SEED=7` for one alone. */
export function someSeeds(usual: number): number[] {
  const { LISTBACKUP_SEED: one, LISTBACKUP_SEEDS: many } = process.env;
  return one ? [Number(one)] : Array.from({ length: Number(many ?? usual) }, (_, i) => i + 1);
}

/** As of a process that stops: its attempts do not count. */
class InjectedFault extends Problem {
  constructor(message: string) {
    super('unavailable', message);
  }
}

const ports = ['events', 'rows', 'records', 'blobs', 'queue'] as const;
const writes = new Set(['append', 'apply', 'write', 'add', 'putMany', 'put', 'send']);

export type Shares = { slow: number; refused: number; lost: number; brokenOff: number };
const usualShares: Shares = { slow: 0.1, refused: 0.01, lost: 0.02, brokenOff: 0.05 };

export type FaultSchedule = {
  /** The platform with faults in its calls. */
  watch(platform: Platform): Platform;
  /** For `Deployment.reached`: may throw an injected fault. */
  reached(step: string): void;
  /** Repeats the work while it fails with an injected fault. */
  untilDone(work: () => Promise<void>): Promise<void>;
  /** How many faults were injected so far. */
  count(): number;
};

export function withFaults({ chance, below }: Chaos, shares: Partial<Shares> = {}): FaultSchedule {
  const { slow, refused, lost, brokenOff } = { ...usualShares, ...shares };
  let count = 0;

  function fail(message: string): never {
    count++;
    throw new InjectedFault(message);
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
