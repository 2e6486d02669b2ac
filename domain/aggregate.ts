/** The interface of an aggregate: the event store and the projections work with any aggregate through it. */
import type { DomainEvent, PersonalFields } from './event.ts';

export type Aggregate<State, E extends DomainEvent> = {
  /** The stream type: `{accountId}/{stream}/{id}`. */
  stream: string;
  /** The current schema version of each event. */
  versions: { [T in E['type']]: number };
  /** The personal fields of each event. The event store encrypts them. */
  personal: PersonalFields<E>;
  initial: State;
  evolve(state: State, event: E): State;
  /**
   * `all` (default): a load folds every commit. With `last`, each commit carries the whole state. So a load reads only
   * the newest commit, however long the stream.
   */
  load?: 'all' | 'last';
};

/** Turns a state into the events to append. A repeat returns none. Throws a Problem if the state does not allow it. */
export type Decide<State, E extends DomainEvent> = (state: State) => E[];
