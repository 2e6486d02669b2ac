/**
 * Every night: what stream records that never came have left undone. `{"nightly": true}`, as the schedule sends it several times a night, goes
 * on with the walk that is under way, and begins none where this night's is done; `{}`, as an operator sends it, begins one anyway.
 */
import type { Context } from 'aws-lambda';
import { projections } from '../../projections/index.ts';
import { required } from '../aws/environment.ts';
import { openAws } from '../aws/platform.ts';
import { type Reconciled, reconcile } from '../aws/reconcile.ts';

const platform = openAws();
const functions = {
  relay: required(process.env, 'RELAY_FUNCTION'),
  projections: required(process.env, 'PROJECTIONS_FUNCTION'),
};
/** What is left of its time when it begins no further round. One that is cut off is done again by the next visit. */
const marginMs = 3 * 60_000;

export async function handler({ nightly = false }: { nightly?: boolean }, context: Context): Promise<Reconciled> {
  const end = platform.now() + context.getRemainingTimeInMillis() - marginMs;
  const parts = {
    ...platform,
    projections,
    wake: (follower: keyof typeof functions, wake: { stream: string; version: number }[]) =>
      platform.sendCommand(functions[follower], { wake }),
  };
  return reconcile(parts, { nightly, stop: () => platform.now() >= end });
}
