/** The acceptance suite under `npm start`. */
import { afterAll, beforeAll } from 'vitest';
import { npmStart, type Started } from '../support/npm-start.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { newPerson, type Person } from './client.ts';
import { dataSuite } from './data.ts';
import { folderSuite } from './folder.ts';
import { liveSuite } from './live.ts';
import { acceptanceSuite } from './suite.ts';
import type { Target } from './target.ts';

const servers: S3Server[] = [];
let started: Started;
let first: Person;

beforeAll(async () => {
  started = await npmStart({ LISTBACKUP_ALLOW_HOSTS: '127.0.0.1', LISTBACKUP_RATE_LIMIT: '0' });
  first = await newPerson(started.url);
});
afterAll(async () => {
  await started?.stop();
  await Promise.all(servers.map((server) => server.close()));
});

const target = (): Target => ({
  deployment: 'self-hosted',
  url: started.url,
  async bucket() {
    const server = await startS3Server();
    servers.push(server);
    return {
      config: { bucket: server.bucket, endpoint: server.endpoint, region: 'us-east-1' },
      credentials: server.credentials,
      async put(key, body, { archived = false } = {}) {
        server.put(key, body, { storageClass: archived ? 'GLACIER' : 'STANDARD' });
      },
      async remove(key) {
        server.objects.delete(key);
      },
      async hold() {
        const held = Promise.withResolvers<void>();
        server.misbehave = ({ key }) => (key === '' ? undefined : { heldUntil: held.promise });
        return async () => {
          server.misbehave = () => undefined;
          held.resolve();
        };
      },
    };
  },
});

acceptanceSuite('under npm start', target);
dataSuite('data, under npm start', target);
liveSuite('the live socket, under npm start', target);
folderSuite('a folder, under npm start', () => ({ ...target(), data: started.data, first }));
