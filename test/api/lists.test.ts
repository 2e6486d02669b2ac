import { expect, test } from 'vitest';
import * as z from 'zod';
import { pageThatFits } from '../../api/lists.ts';
import { addressOf, listRoute, readRoutes } from '../../api/route.ts';
import { routes } from '../../api/routes/index.ts';
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

test('returns pages of 50 items or of `limit`, and each item once', async () => {
  const { get } = await caller();
  expect((await get('/numbers')).items).toHaveLength(50);
  const received: number[] = [];
  let url = '/numbers?limit=200';
  for (let pages = 0; url && pages < 10; pages++) {
    const { items, next } = await get(url);
    received.push(...items.map(({ n }: { n: number }) => n));
    url = next === null ? '' : `/numbers?limit=${120 + pages}&cursor=${next}`;
  }
  expect(received).toEqual(numbers);
});

test('rejects a limit that is not a whole number from 1 to 200', async () => {
  const { get } = await caller();
  for (const limit of ['0', '201', '1000', '-1', '1.5', '1e2', ' 5', '05', '0x10', '', 'abc', '٣', '50&limit=50']) {
    expect([limit, (await get(`/numbers?limit=${encodeURI(limit)}`)).errors?.[0]?.path]).toEqual([limit, 'limit']);
  }
});

test('hides the position in a cursor, which works only for its list, filter and account', async () => {
  const api = await testApi({ routes: [tools] });
  const [asAda, asBob] = [await as(api), await as(api, bob)];
  const { next } = (await asAda({ url: '/numbers?limit=10' })).json();
  expect(Buffer.from(next, 'base64url').toString('latin1')).not.toContain('home');
  expect((await asAda({ url: `/numbers?limit=5&cursor=${next}` })).json().items[0]).toEqual({ n: 10 });
  const expectRejected = async (call: typeof asAda, url: string) =>
    expect([url, (await call({ url })).json().code]).toEqual([url, 'invalid-cursor']);
  await expectRejected(asBob, `/numbers?cursor=${next}`);
  await expectRejected(asAda, `/others?cursor=${next}`);
  await expectRejected(asAda, `/numbers?cursor=${next}&even=true`);
});

test('rejects a cursor with any character changed, added or removed', async () => {
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
  for (let index = 0; index < next.length; index++)
    bad.push(next.slice(0, index) + (next[index] === 'A' ? 'B' : 'A') + next.slice(index + 1));
  for (const cursor of bad) {
    const { status, code } = await get(`/numbers?cursor=${cursor}`);
    expect([cursor, status, code]).toEqual([cursor, 400, cursor === '%00' ? 'invalid-input' : 'invalid-cursor']);
  }
});

test.each([
  ['quotes, which a JSON string doubles', '"'.repeat(20_000)],
  ['control characters', '\u0001'.repeat(20_000)],
  ['three-byte characters', '\u20ac'.repeat(40_000)],
  ['items of a megabyte', 'x'.repeat(2 ** 20)],
])('ends a page early that Lambda would refuse, and returns each item once: %s', async (_, text) => {
  const large = listRoute({
    ...described,
    url: '/large',
    item: z.object({ n: z.int(), text: z.string() }),
    handler: async ({ page }) => {
      const { items, next } = pageFrom(Number(page.cursor?.split(' ').at(-1) ?? 0), page.limit);
      return { items: items.map(({ n }) => ({ n, text })), next };
    },
  });
  const call = await as(await testApi({ routes: [[large]] }));
  const received: number[] = [];
  for (let next: string | null = ''; next !== null && received.length < 250; ) {
    const answer = await call({ url: `/large?limit=200${next && `&cursor=${next}`}` });
    // Lambda encodes the answer as a JSON string in another JSON document.
    expect(Buffer.byteLength(JSON.stringify({ body: answer.body }))).toBeLessThan(6_000_000);
    const page = answer.json();
    expect(page.items.length).toBeGreaterThan(0);
    received.push(...page.items.map(({ n }: { n: number }) => n));
    next = page.next;
  }
  expect(received).toEqual(numbers.slice(0, received.length));
  expect(received.length).toBeGreaterThanOrEqual(200);
});

test('returns an item alone that is larger than a page', async () => {
  const calls: number[] = [];
  const page = await pageThatFits(async (limit) => {
    calls.push(limit);
    return { items: Array.from({ length: Math.min(limit, 3) }, () => 'x'.repeat(4_000_000)), next: 'more' };
  }, 200);
  expect([page.items.length, page.next, calls]).toEqual([1, 'more', [200, 1]]);
});

test('every list ends large pages early: each route with `next` in its answer is a listRoute', async () => {
  const definitions = await readRoutes(routes);
  const paged = definitions.filter(({ answers }) =>
    Object.values(answers).some((answer) => answer instanceof z.ZodObject && 'next' in answer.shape),
  );
  expect(paged.length).toBeGreaterThan(5);
  expect(paged.filter(({ list }) => !list).map(addressOf)).toEqual([]);
});
