/** Load a stream, decide, append: the loop every command runs in. */

import type { Aggregate, Decide } from '../domain/aggregate.ts';
import { Problem } from '../domain/errors.ts';
import type { Cause, DomainEvent } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { type Head, start } from './commit.ts';
import { decode } from './decode.ts';
import { encodeCommit } from './encode.ts';

/** `at`: the time of the newest commit, empty before the first. `since`: that of the first, where all are loaded. */
type Loaded<S> = { state: S; head: Head; at: string; since: string };
export type Appended<S> = { state: S; stream: string; version: number; at: string; appended: boolean };

/** A stream's state now, strongly consistent; the noun's initial state when there is no such stream. */
export async function load<S, E extends DomainEvent>(
  platform: Pick<Platform, 'events' | 'blobs'>,
  aggregate: Aggregate<S, E>,
  stream: string,
): Promise<Loaded<S>> {
  const last = aggregate.load === 'last' ? await platform.events.last(stream) : undefined;
  const commits = aggregate.load === 'last' ? (last ? [last] : []) : await platform.events.load(stream);
  let state = aggregate.initial;
  for (const commit of commits) {
    for (const event of await decode<E>(platform, commit)) state = aggregate.evolve(state, event as unknown as E);
  }
  const newest = commits.at(-1);
  return {
    state,
    head: newest ? { version: newest.version, hash: newest.hash } : start,
    at: newest?.at ?? '',
    since: commits[0]?.at ?? '',
  };
}

/** Throws Problem `precondition-failed` unless the version is among those allowed. For use where the stream's state was just loaded. */
export function requireVersion(allowed: readonly number[] | undefined, version: number): void {
  if (allowed && !allowed.includes(version)) {
    throw new Problem('precondition-failed', 'It was changed since you read it. Read it again and repeat your change.');
  }
}

/** How often a decision is taken anew when others were faster. */
const attempts = 8;

/**
 * Appends what `decide` decides on the stream's state; nothing when it decides nothing. Decides anew when someone else appended
 * meanwhile. Throws what `decide` throws, Problem `precondition-failed` when the stream is not at one of `ifVersion`, and Problem `conflict` when others were faster every time.
 */
export async function transact<S, E extends DomainEvent>(
  platform: Platform,
  aggregate: Aggregate<S, E>,
  stream: string,
  decide: Decide<S, E>,
  cause: Cause & { ifVersion?: readonly number[] | undefined },
): Promise<Appended<S>> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const { state, head, at } = await load(platform, aggregate, stream);
    if (head.version > 0) requireVersion(cause.ifVersion, head.version);
    const events = decide(state);
    if (events.length === 0) return { state, stream, version: head.version, at, appended: false };
    const commit = await encodeCommit(platform, aggregate, stream, head, events, cause);
    if ((await platform.events.append(commit)) === 'appended') {
      return {
        state: events.reduce(aggregate.evolve, state),
        stream,
        version: commit.version,
        at: commit.at,
        appended: true,
      };
    }
  }
  throw new Problem('conflict', 'Others changed the same thing at the same time. Try again.', {
    extra: { retryAfter: 1 },
  });
}

/** `transact` for what makes a new thing: a repeat is given the version and time of the first commit, whatever became of the thing since. */
export async function begin<S, E extends DomainEvent>(
  platform: Platform,
  aggregate: Aggregate<S, E>,
  stream: string,
  decide: Decide<S, E>,
  cause: Cause,
): Promise<{ version: number; at: string; stream: string }> {
  const { appended, version, at } = await transact(platform, aggregate, stream, decide, cause);
  const [first] = appended ? [] : await platform.events.load(stream, { limit: 1 });
  return { stream, version: first?.version ?? version, at: first?.at ?? at };
}
