/** What every Secrets promises. The harness has `jwt-secret` and `jwt-refresh-secret` and not `openai-api-key`. */
import assert from 'node:assert/strict';
import type { Secrets } from '../../domain/ports.ts';
import type { PortPromise } from './promise.ts';

export const secretPromises: PortPromise<Secrets>[] = [
  {
    promise: 'a secret that was never set is undefined',
    check: async (port) => assert.equal(await port.get('openai-api-key'), undefined),
    broken: (port) => ({ ...port, get: async (name) => (await port.get(name)) ?? '' }),
  },
  {
    promise: 'the two signing secrets are there, differ, are long enough for HS256 and stay the same',
    async check(port) {
      const [access, refresh] = [await port.get('jwt-secret'), await port.get('jwt-refresh-secret')];
      assert.ok(access !== undefined && refresh !== undefined);
      assert.ok(access.length >= 32 && refresh.length >= 32);
      assert.notEqual(access, refresh);
      assert.equal(await port.get('jwt-secret'), access);
    },
    broken: (port) => ({ ...port, get: (name) => port.get(name === 'jwt-refresh-secret' ? 'jwt-secret' : name) }),
  },
];
