/** Broken twins of a Rows that several promises are tried on. */
import type { RowChange, Rows } from '../../domain/ports.ts';
import { fresh } from './fresh.ts';

/** Each change is another one by the time it is applied. */
export const rewriting =
  (rewrite: (change: RowChange) => RowChange) =>
  (port: Rows): Rows => ({
    ...port,
    apply: (projection, stream, version, changes) => port.apply(projection, stream, version, changes.map(rewrite)),
  });

/** Only some of the changes are applied. */
export const leavingOut =
  (isKept: (change: RowChange) => boolean) =>
  (port: Rows): Rows => ({
    ...port,
    apply: (projection, stream, version, changes) => port.apply(projection, stream, version, changes.filter(isKept)),
  });

/** What comes a second time is applied a second time. */
export const applyingAgain = (port: Rows): Rows => ({
  ...port,
  async apply(projection, stream, version, changes) {
    const outcome = await port.apply(projection, stream, version, changes);
    if (outcome === 'stale') await port.apply(fresh('projection'), stream, 1, changes);
    return outcome;
  },
});
