/** given(events) · when(decide): what a noun decides, without any machine. */
import type { DomainEvent } from '../../domain/event.ts';
import type { Decide, Noun } from '../../domain/noun.ts';

export function given<S, E extends DomainEvent>(noun: Noun<S, E>, ...events: E[]) {
  const state = events.reduce(noun.evolve, noun.initial);
  return { state, when: (decide: Decide<S, E>): E[] => decide(state) };
}
