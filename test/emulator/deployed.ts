/** Stage `test` on this run's ministack. The first test file that needs it deploys it, and all share it. */
import { inject } from 'vitest';
import { deployToMinistack, urlOnMinistack } from './deploy.ts';

/** The URL of the API. Its functions may call ministack, so that buckets there can be sources. */
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
