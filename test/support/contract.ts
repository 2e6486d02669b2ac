/** Runs a port's promises, and proves that they can fail. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { patience } from '../contract/eventually.ts';
import type { PortPromise } from '../contract/promise.ts';

type MakePort<Port> = () => Port | Promise<Port>;

/** Every promise as a test, against one port made before the first. */
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

/** Every promise broken on purpose: its check has to fail, and by an assertion of its own. */
export function describeBroken<Port>(name: string, promises: PortPromise<Port>[], makePort: MakePort<Port>): void {
  describe(`${name}, broken on purpose: the check fails`, () => {
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
