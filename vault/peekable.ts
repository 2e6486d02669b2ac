/** Items that come in batches, one at a time. `peek` answers at once while a batch is in memory. */
export type Peekable<T> = { peek(): T | undefined | Promise<T | undefined>; take(): void };

/** `check` is called once for each batch, and may return another one. */
export function peekable<T>(batches: AsyncIterable<T[]>, check = (batch: T[]) => batch): Peekable<T> {
  const iterator = batches[Symbol.asyncIterator]();
  let batch: T[] = [];
  let at = 0;
  let isDone = false;

  async function load(): Promise<T | undefined> {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      batch = check(next.value);
      at = 0;
      if (batch.length > 0) return batch[0];
    }
    isDone = true;
    return undefined;
  }

  return { peek: () => (at < batch.length || isDone ? batch[at] : load()), take: () => void at++ };
}
