/**
 * The contract of Push on the deployed app. Sockets need its `$connect` function, so the connections are real and
 * opened with tickets.
 */
import { afterAll, beforeAll, inject } from 'vitest';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { newPerson } from '../../acceptance/client.ts';
import { liveUrl } from '../../acceptance/live-socket.ts';
import { pushPromises } from '../../contract/push.ts';
import { urlOnMinistack } from '../../emulator/deploy.ts';
import { deployedUrl } from '../../emulator/deployed.ts';
import { describeContract } from '../../support/contract.ts';
import { pushConnection } from '../../support/push.ts';

let platform: AwsPlatform;
let url: string;
beforeAll(async () => {
  const { endpoint, environment } = inject('ministack');
  Object.assign(process.env, environment);
  url = await deployedUrl();
  const [id] = urlOnMinistack(endpoint, 'test').split('/').slice(-2);
  const LIVE_URL = `${endpoint.replace('http', 'ws')}/_aws/execute-api/live${id}/live`;
  platform = openAws({ ...environment, STAGE: 'test', TABLE_PREFIX: 'listbackup-test-', LIVE_URL });
});
afterAll(() => platform?.close());

describeContract('push', pushPromises, () => ({
  push: platform.push,
  async connect() {
    const { api, account } = await newPerson(url);
    return pushConnection(await liveUrl(api), async () => {
      const { items } = await platform.records.query(`live#${account}`, { limit: 1 });
      return items[0]?.sk ?? '';
    });
  },
}));
