/** Stage `test` on this run's ministack: deployed by the first who asks, then shared. */
import { inject } from 'vitest';
import { deployToMinistack, urlOnMinistack } from './deploy.ts';

/** The API's URL. Its functions may call back to ministack, so that buckets there can be sources. */
export async function deployedUrl(): Promise<string> {
  const { endpoint } = inject('ministack');
  const url = urlOnMinistack(endpoint, 'test');
  const answer = await fetch(`${url}/health`);
  if (answer.ok) return url;
  const deployed = await deployToMinistack(endpoint, {
    settings: { LISTBACKUP_ALLOW_HOSTS: new URL(endpoint).host, LISTBACKUP_RATE_LIMIT: '0' },
  });
  for (const line of deployed.dropped) console.log(`not on the emulator: ${line}`);
  return deployed.url;
}
