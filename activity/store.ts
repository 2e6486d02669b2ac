/** Load a stream, decide, append: the loop of every command. */

import type { Aggregate, Decide } from '../domain/aggregate.ts';
import { Problem } from '../domain/errors.ts';
import type { Cause, DomainEvent } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { type Head, start } from './commit.ts';
import { decode } from './decode.ts';
import { encodeCommit } from './encode.ts';

/**
 * `at`: the time of the newest commit. `createdAt`: the time of the first loaded commit. That is the first commit of
 * the stream, unless the aggregate loads only the last one. Both are UTC ISO-8601, and empty for an empty stream.
 */
type Loaded<S> = { state: S; head: Head; at: string; createdAt: string };
/** `appended` false: the command decided nothing, and `version` and `at` are those of the newest commit. */
export type Appended<S> = { state: S; stream: string; version: number; at: string; appended: boolean };

/** The current state of a stream, strongly consistent. The initial state if the stream is empty. */
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
    createdAt: commits[0]?.at ?? '',
  };
}

/** Throws Problem `precondition-failed` unless the version is allowed. `version` is that of the stream just loaded. */
export function requireVersion(allowed: readonly number[] | undefined, version: number): void {
  if (allowed && !allowed.includes(version)) {
    throw new Problem('precondition-failed', 'Read it again and repeat your change.');
  }
}

/** How often `transact` tries when concurrent commands append first. */
const attempts = 8;

/**
 * Appends the events that `decide` returns for the state of the stream. Loads and decides again if a concurrent command
 * appended first. Throws the errors of `decide`, Problem `precondition-failed` if the version is not in `ifVersion`,
 * and Problem `conflict` if a concurrent command was first each time.
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
    if ((await platform.events.append(commit, at)) === 'appended') {
      return {
        state: events.reduce(aggregate.evolve, state),
        stream,
        version: commit.version,
        at: commit.at,
        appended: true,
      };
    }
  }
  throw new Problem('conflict', 'Repeat the request.', {
    extra: { retryAfter: 1 },
  });
}

/** `transact` for a command that creates an aggregate. A repeat returns version and time of the first commit. */
export async function createStream<S, E extends DomainEvent>(
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
