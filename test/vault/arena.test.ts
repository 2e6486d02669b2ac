import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openArena, slabSize, takeSpans } from '../../vault/arena.ts';

describe('the arena', () => {
  it('lends each slab once, the slab freed last first, and serves callers in order', async () => {
    const arena = openArena(2);
    expect(arena.memory.byteLength).toBe(2 * slabSize);
    const [a, b] = [await arena.take(), await arena.take()];
    expect([a, b].sort()).toEqual([0, slabSize]);
    const order: string[] = [];
    const [c, d] = ['c', 'd'].map(async (name) => {
      const at = await arena.take();
      order.push(name);
      return at;
    });
    arena.hold(b + 5);
    arena.release(b + slabSize - 1);
    await Promise.resolve();
    expect(order).toEqual([]);
    arena.release(b + 100);
    expect(await c).toBe(b);
    arena.release(a);
    expect(await d).toBe(a);
    expect(order).toEqual(['c', 'd']);
    arena.release(b);
    arena.release(a);
    expect(await arena.take()).toBe(a);
  });

  it('takes bytes off the front of spans', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(lengths, fc.nat(), (all, some) => {
        const spans = all.map((length, i) => ({ at: i * 100, length }));
        const offsets = (list: typeof spans) =>
          list.flatMap(({ at, length }) => Array.from({ length }, (_, i) => at + i));
        const before = offsets(spans);
        const count = some % (before.length + 1);
        const taken = takeSpans(spans, count);
        expect([offsets(taken), offsets(spans)]).toEqual([before.slice(0, count), before.slice(count)]);
        expect([...taken, ...spans].every(({ length }) => length > 0)).toBe(true);
      }),
    );
    expect(() => takeSpans([{ at: 0, length: 3 }], 4)).toThrow(/shorter than the bytes to take/);
  });
});
