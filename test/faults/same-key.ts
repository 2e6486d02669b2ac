/** Very many requests at once under one `Idempotency-Key`: one of them does it, and all are told the same. */
import assert from 'node:assert/strict';
import type { Body } from '../acceptance/client.ts';

export type Post = (path: string, body: Body, key: string) => Promise<{ status: number; body: Body }>;

/**
 * So many times the same job under the same key, and among them some with another name under that key. The id of the one job that came
 * of it; whether it is the only one is for the caller to see.
 */
export async function sameKey(post: Post, sourceId: string, count: number): Promise<{ id: string; name: string }> {
  const key = 'the same for all';
  const [mine, other] = [
    { name: 'Mine', sourceId },
    { name: 'Other', sourceId },
  ];
  const asked = Array.from({ length: count }, (_, i) => (i % 10 === 9 ? other : mine));
  const answers = await Promise.all(asked.map(async (body) => ({ body, answer: await post('/jobs', body, key) })));
  // Whoever of them comes first; its name is the one that is no mismatch
  const first = answers.find(({ answer }) => answer.status === 201);
  assert(first, 'one is answered 201');
  for (const { body, answer } of answers) {
    if (body !== first.body) assert.deepEqual([answer.status, answer.body.code], [422, 'idempotency-mismatch']);
    else if (answer.status === 201) assert.deepEqual(answer.body, first.answer.body);
    else assert.deepEqual([answer.status, answer.body.code], [409, 'idempotency-in-progress']);
  }
  // Who was told to wait gets the answer afterwards, and who changed the body does not
  assert.deepEqual(await post('/jobs', first.body, key), first.answer);
  assert.equal((await post('/jobs', { ...first.body, name: 'Late' }, key)).status, 422);
  return { id: String(first.answer.body.id), name: first.body.name };
}
