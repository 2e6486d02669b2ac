/** Told by the bus that something happened in an account: brings its live sockets up to its ledger. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { pushLive } from '../../api/live/push.ts';
import { projections } from '../../projections/index.ts';
import { openAws } from '../aws/platform.ts';

const platform = openAws();
/** What is left of a function's time when it leaves the rest to another. */
const marginMs = 30_000;
/** API Gateway opens a socket some time after the function at its door has answered. */
const openingMs = 10_000;

export async function handler({ account }: { account: string }, context: Context): Promise<void> {
  const outcome = await pushLive(
    {
      platform,
      followers: projections,
      sleep: async (milliseconds) => void (await sleep(milliseconds)),
      openingMs,
      deadline: platform.now() + context.getRemainingTimeInMillis() - marginMs,
    },
    account,
  );
  if (outcome === 'more') await platform.wakeLive(account);
}
