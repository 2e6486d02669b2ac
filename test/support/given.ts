/** given(events) · when(decide): the decisions of an aggregate, without a platform. */

import type { Aggregate, Decide } from '../../domain/aggregate.ts';
import type { DomainEvent } from '../../domain/event.ts';

export function given<S, E extends DomainEvent>(aggregate: Aggregate<S, E>, ...events: E[]) {
  const state = events.reduce(aggregate.evolve, aggregate.initial);
  return { state, when: (decide: Decide<S, E>): E[] => decide(state) };
}
