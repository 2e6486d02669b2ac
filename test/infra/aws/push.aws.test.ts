/** Push, kept by the deployed app: only a function at its door lets sockets in, so the connections are real ones, opened with tickets. */
import { afterAll, beforeAll, inject } from 'vitest';
import { type AwsMachine, openAws } from '../../../infra/aws/machine.ts';
import { urlOnMinistack } from '../../../infra/cdk/ministack.ts';
import { pushPromises } from '../../../infra/contract/push.ts';
import { newPerson } from '../../acceptance/client.ts';
import { liveUrl } from '../../acceptance/live-socket.ts';
import { describeContract } from '../../support/contract.ts';
import { deployedUrl } from '../../support/deployed.ts';
import { pushConnection } from '../../support/push.ts';

let machine: AwsMachine;
let url: string;
beforeAll(async () => {
  const { endpoint, environment } = inject('ministack');
  Object.assign(process.env, environment);
  url = await deployedUrl();
  const [id] = urlOnMinistack(endpoint, 'test').split('/').slice(-2);
  const LIVE_URL = `${endpoint.replace('http', 'ws')}/_aws/execute-api/live${id}/live`;
  machine = openAws({ ...environment, STAGE: 'test', TABLE_PREFIX: 'listbackup-test-', LIVE_URL });
});
afterAll(() => machine?.close());

describeContract('push', pushPromises, () => ({
  push: machine.push,
  async connect() {
    const { api, account } = await newPerson(url);
    return pushConnection(await liveUrl(api), async () => {
      const { items } = await machine.records.query(`live#${account}`, { limit: 1 });
      return items[0]?.sk ?? '';
    });
  },
}));
