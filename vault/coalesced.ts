/**
 * Batches look-ups of single ids. One request is in progress at a time, and all ids asked for in the meantime share the
 * next one. So there are few requests, whatever the concurrency.
 */
export function coalesced<T>(
  lookUp: (ids: string[]) => Promise<Map<string, T>>,
): (id: string) => Promise<T | undefined> {
  let waiting: { id: string; resolve: (found: T | undefined) => void; reject: (error: unknown) => void }[] = [];
  let busy = false;

  async function drain(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      // One microtask later, other callers of the same tick have joined the batch.
      await Promise.resolve();
      const batch = waiting;
      waiting = [];
      try {
        const found = await lookUp(batch.map((one) => one.id));
        for (const one of batch) one.resolve(found.get(one.id));
      } catch (error) {
        for (const one of batch) one.reject(error);
      }
    }
    busy = false;
  }

  return (id) =>
    new Promise((resolve, reject) => {
      waiting.push({ id, resolve, reject });
      if (!busy) void drain();
    });
}
