/** Exports on AWS: multipart uploads that go on, plain because S3 serves them. */
import { beforeAll, describe } from 'vitest';
import { openAws } from '../../../infra/aws/platform.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import type { TestPlatform } from '../../support/api.ts';
import { creatingKeys, silent } from '../../support/embedded.ts';
import { testSlices } from './slices.ts';

describe('an export in slices', () => {
  const clients = ministackClients();
  let environment: Awaited<ReturnType<typeof makeStage>>;
  beforeAll(async () => {
    environment = await makeStage(clients);
    return () => clients.close();
  });

  testSlices(async (): Promise<TestPlatform> => {
    const clock = { now: Date.now() };
    const platform = openAws(environment);
    return { ...platform, keys: creatingKeys(platform.keys), log: silent, clock, now: () => clock.now, lines: [] };
  }, true);
});
