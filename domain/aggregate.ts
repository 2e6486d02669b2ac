/** What a noun's file gives to those who store, fold and read its events. */
import type { DomainEvent, PersonalFields } from './event.ts';

export type Aggregate<State, E extends DomainEvent> = {
  /** The stream type: `{accountId}/{stream}/{id}`. */
  stream: string;
  /** Every event of the noun with its schema version. */
  versions: { [T in E['type']]: number };
  personal: PersonalFields<E>;
  initial: State;
  evolve(state: State, event: E): State;
  /** `last`: each commit carries the whole state, so that loading reads one item however long the stream. Default `all`. */
  load?: 'all' | 'last';
};

/** What a command decides on a state: events to append; none when it was done before. Throws a Problem when it may not be. */
export type Decide<State, E extends DomainEvent> = (state: State) => E[];
