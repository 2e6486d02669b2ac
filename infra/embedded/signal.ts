/** Wakes all waiters of a change in this process. */
export type Signal = {
  notify(): void;
  /**
   * `within` resolves at the next notify, or after this many milliseconds.
   * Call `next` before you check the state. Otherwise a change between check and call is missed.
   */
  next(): { within(milliseconds?: number): Promise<void> };
};

export function makeSignal(): Signal {
  let waiting = Promise.withResolvers<void>();
  return {
    notify() {
      waiting.resolve();
      waiting = Promise.withResolvers<void>();
    },
    next() {
      const { promise } = waiting;
      return {
        within(milliseconds) {
          if (milliseconds === undefined || milliseconds === Number.POSITIVE_INFINITY) return promise;
          return new Promise((resolve) => {
            // setTimeout fires at once for more than 2^31 − 1 ms.
            const timer = setTimeout(resolve, Math.min(Math.max(milliseconds, 0), 2_147_483_647));
            promise.then(() => {
              clearTimeout(timer);
              resolve();
            });
          });
        },
      };
    },
  };
}
