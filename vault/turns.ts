import { setImmediate as turn } from 'node:timers/promises';

/** Runs work that pauses often. Other requests get a turn of the event loop at each pause. */
export async function inTurns<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    await turn();
  }
}
