/** Checks the promises of a port, and proves that each check can fail. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patience } from '../contract/eventually.ts';
import type { PortPromise } from '../contract/promise.ts';

type MakePort<Port> = () => Port | Promise<Port>;

/** One test per promise, all on one port. */
export function describeContract<Port>(name: string, promises: PortPromise<Port>[], makePort: MakePort<Port>): void {
  describe(name, () => {
    let made: Promise<Port>;
    beforeAll(async () => {
      made = Promise.resolve(makePort());
      await made;
    });
    for (const each of promises) it(each.promise, async () => each.check(await made));
  });
}

/** One test per promise, on a port that breaks it. The check must fail with an assertion. */
export function describeBroken<Port>(name: string, promises: PortPromise<Port>[], makePort: MakePort<Port>): void {
  describe(`${name}, with a broken promise, fails the check`, () => {
    const patient = patience.ms;
    let made: Promise<Port>;
    beforeAll(async () => {
      patience.ms = 1500;
      made = Promise.resolve(makePort());
      await made;
    });
    afterAll(() => {
      patience.ms = patient;
    });
    for (const each of promises) {
      it(each.promise, async () => {
        const port = each.broken(await made);
        await expect(each.check(port)).rejects.toMatchObject({ name: 'AssertionError' });
      });
    }
  });
}
