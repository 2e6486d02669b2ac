/** Broken variants of the port `Rows`, which the contract must detect. */
import type { RowChange, Rows } from '../../domain/ports.ts';
import { fresh } from './fresh.ts';

/** Applies a different change instead of each one. */
export const rewriting =
  (rewrite: (change: RowChange) => RowChange) =>
  (port: Rows): Rows => ({
    ...port,
    apply: (projection, stream, version, changes) => port.apply(projection, stream, version, changes.map(rewrite)),
  });

/** Applies only some of the changes. */
export const leavingOut =
  (isKept: (change: RowChange) => boolean) =>
  (port: Rows): Rows => ({
    ...port,
    apply: (projection, stream, version, changes) => port.apply(projection, stream, version, changes.filter(isKept)),
  });

/** Applies the changes of a repeated version again. */
export const applyingAgain = (port: Rows): Rows => ({
  ...port,
  async apply(projection, stream, version, changes) {
    const outcome = await port.apply(projection, stream, version, changes);
    if (outcome === 'stale') await port.apply(fresh('projection'), stream, 1, changes);
    return outcome;
  },
});
