/** The contract of Secrets. The harness sets `jwt-secret` and `jwt-refresh-secret` but not `openai-api-key`. */
import assert from 'node:assert/strict';
import type { Secrets } from '../../domain/ports.ts';
import type { PortPromise } from './promise.ts';

export const secretPromises: PortPromise<Secrets>[] = [
  {
    promise: 'returns undefined for a secret that was never set',
    check: async (port) => assert.equal(await port.get('openai-api-key'), undefined),
    broken: (port) => ({ ...port, get: async (name) => (await port.get(name)) ?? '' }),
  },
  {
    promise: 'returns two different signing secrets that are long enough for HS256 and do not change',
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
