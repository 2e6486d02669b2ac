/** A user. The identity port holds the password. */

import type { Aggregate, Decide } from './aggregate.ts';
import type { Personal } from './event.ts';

// ── Events ──
export type UserEvent = {
  type: 'UserRegistered';
  data: { userId: string; accountId: string; email: Personal<string>; name: Personal<string> };
};

// ── State ──
export type UserState = { status: 'none' } | { status: 'registered' };

const subject = (_: unknown, data: { userId: string }) => data.userId;

export const user: Aggregate<UserState, UserEvent> = {
  stream: 'user',
  versions: { UserRegistered: 1 },
  personal: { UserRegistered: { email: subject, name: subject } },
  initial: { status: 'none' },
  evolve(_state, event) {
    switch (event.type) {
      case 'UserRegistered':
        return { status: 'registered' };
    }
  },
};

// ── Decide ──
export function registerUser(
  data: Extract<UserEvent, { type: 'UserRegistered' }>['data'],
): Decide<UserState, UserEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'UserRegistered', data }] : []);
}
