/** Sends new ledger entries of an account to its live sockets. The relay triggers it if there are any. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from 'aws-lambda';
import { pushLive } from '../../api/live/push.ts';
import { projections } from '../../projections/index.ts';
import { openAws } from '../aws/platform.ts';

const platform = openAws();
/** The function stops this long before its timeout and leaves the rest to another invocation. */
const marginMs = 30_000;
/** API Gateway opens a socket some time after the `$connect` function has answered. */
const openingMs = 10_000;

export async function handler(
  { account, runId }: { account: string; runId?: string },
  context: Context,
): Promise<void> {
  const outcome = await pushLive(
    {
      platform,
      followers: projections,
      sleep: async (milliseconds) => void (await sleep(milliseconds)),
      openingMs,
      patienceMs: 2_000,
      deadline: platform.now() + context.getRemainingTimeInMillis() - marginMs,
    },
    account,
    runId,
  );
  if (outcome === 'more') await platform.notifyLive(account);
}
