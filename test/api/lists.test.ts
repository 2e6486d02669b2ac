import { expect, test } from 'vitest';
import * as z from 'zod';
import { listRoute } from '../../api/route.ts';
import { ada, as, bob, testApi } from '../support/api.ts';

const numbers = Array.from({ length: 500 }, (_, index) => index);
const pageFrom = (from: number, limit: number) => {
  const items = numbers.slice(from, from + limit).map((n) => ({ n }));
  return { items, next: from + limit < numbers.length ? `after /home/ada/é ${from + limit}` : null };
};
const described = {
  summary: 'Numbers',
  tags: ['test'] as [string],
  item: z.object({ n: z.int() }),
  filters: { even: z.enum(['true', 'false']).optional() },
};
const tools = ['/numbers', '/others'].map((url) =>
  listRoute({
    ...described,
    url: url as '/numbers',
    handler: async ({ page }) => pageFrom(Number(page.cursor?.split(' ').at(-1) ?? 0), page.limit),
  }),
);

async function caller(person = ada) {
  const api = await testApi({ routes: [tools] });
  const call = await as(api, person);
  return { ...api, get: async (url: string) => (await call({ url })).json() };
}

test('a list comes in pages of 50, or as many as asked for, each item once', async () => {
  const { get } = await caller();
  expect((await get('/numbers')).items).toHaveLength(50);
  const seen: number[] = [];
  let url = '/numbers?limit=200';
  for (let pages = 0; url && pages < 10; pages++) {
    const { items, next } = await get(url);
    seen.push(...items.map(({ n }: { n: number }) => n));
    url = next === null ? '' : `/numbers?limit=${120 + pages}&cursor=${next}`;
  }
  expect(seen).toEqual(numbers);
});

test('a limit that is no whole number from 1 to 200 is refused', async () => {
  const { get } = await caller();
  for (const limit of ['0', '201', '1000', '-1', '1.5', '1e2', ' 5', '05', '0x10', '', 'abc', '٣', '50&limit=50']) {
    expect([limit, (await get(`/numbers?limit=${encodeURI(limit)}`)).errors?.[0]?.path]).toEqual([limit, 'limit']);
  }
});

test('a cursor tells nothing and works for its own list, filter and account only', async () => {
  const api = await testApi({ routes: [tools] });
  const [asAda, asBob] = [await as(api), await as(api, bob)];
  const { next } = (await asAda({ url: '/numbers?limit=10' })).json();
  expect(Buffer.from(next, 'base64url').toString('latin1')).not.toContain('home');
  expect((await asAda({ url: `/numbers?limit=5&cursor=${next}` })).json().items[0]).toEqual({ n: 10 });
  const refused = async (call: typeof asAda, url: string) =>
    expect([url, (await call({ url })).json().code]).toEqual([url, 'invalid-cursor']);
  await refused(asBob, `/numbers?cursor=${next}`);
  await refused(asAda, `/others?cursor=${next}`);
  await refused(asAda, `/numbers?cursor=${next}&even=true`);
});

test('no character of a cursor can be changed, added or left out', async () => {
  const { get } = await caller();
  const { next } = await get('/numbers?limit=10');
  const bad = [
    '',
    'x',
    '%00',
    'null',
    `${next}A`,
    `${next}=`,
    next.slice(1),
    next.slice(0, -1),
    'A'.repeat(10_000),
    encodeURIComponent(`${next} `),
  ];
  for (let at = 0; at < next.length; at++)
    bad.push(next.slice(0, at) + (next[at] === 'A' ? 'B' : 'A') + next.slice(at + 1));
  for (const cursor of bad) {
    const { status, code } = await get(`/numbers?cursor=${cursor}`);
    expect([cursor, status, code]).toEqual([cursor, 400, cursor === '%00' ? 'invalid-input' : 'invalid-cursor']);
  }
});
