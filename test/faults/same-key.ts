/** Sends many concurrent requests with one `Idempotency-Key`: one takes effect, and all get its answer. */
import assert from 'node:assert/strict';
import type { Body } from '../acceptance/client.ts';

export type Post = (path: string, body: Body, key: string) => Promise<{ status: number; body: Body }>;

/**
 * Creates one job `count` times at once with one key. Every tenth request has another body. Returns the created job.
 * The caller checks that no other job exists.
 */
export async function sameKey(post: Post, sourceId: string, count: number): Promise<{ id: string; name: string }> {
  const key = 'the same for all';
  const [mine, other] = [
    { name: 'Mine', sourceId },
    { name: 'Other', sourceId },
  ];
  const asked = Array.from({ length: count }, (_, i) => (i % 10 === 9 ? other : mine));
  const answers = await Promise.all(asked.map(async (body) => ({ body, answer: await post('/jobs', body, key) })));
  // The first request to arrive decides which body matches
  const first = answers.find(({ answer }) => answer.status === 201);
  assert(first, 'one is answered 201');
  for (const { body, answer } of answers) {
    if (body !== first.body) assert.deepEqual([answer.status, answer.body.code], [422, 'idempotency-mismatch']);
    else if (answer.status === 201) assert.deepEqual(answer.body, first.answer.body);
    else assert.deepEqual([answer.status, answer.body.code], [409, 'idempotency-in-progress']);
  }
  // A repeat now gets the stored answer, and another body is still refused
  assert.deepEqual(await post('/jobs', first.body, key), first.answer);
  assert.equal((await post('/jobs', { ...first.body, name: 'Late' }, key)).status, 422);
  return { id: String(first.answer.body.id), name: first.body.name };
}
