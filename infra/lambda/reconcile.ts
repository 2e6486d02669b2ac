/**
 * Finds lost stream records every night and sends their notifications again. The schedule sends `{"nightly": true}`
 * several times a night, which continues the walk of this night or does nothing if it is done. An operator sends `{}`,
 * which begins a walk if none is unfinished. `{"all": true}` begins a walk over all streams.
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
/** The function begins no round this long before its timeout. The next visit repeats a round that was cut off. */
const marginMs = 3 * 60_000;

export async function handler(
  { nightly = false, all = false }: { nightly?: boolean; all?: boolean },
  context: Context,
): Promise<Reconciled> {
  const end = platform.now() + context.getRemainingTimeInMillis() - marginMs;
  const parts = {
    ...platform,
    projections,
    notify: (consumer: keyof typeof functions, notifications: { stream: string; version: number }[]) =>
      platform.sendCommand(functions[consumer], { notify: notifications }),
  };
  return reconcile(parts, { nightly, all, stop: () => platform.now() >= end });
}
