/** Wakes those who wait for something to be there. */
export type Signal = {
  notify(): void;
  /** Resolves at the next notify, or after so many milliseconds. Ask for it before you look, or what comes in between is missed. */
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
            // setTimeout fires at once beyond 2^31 − 1 ms
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
