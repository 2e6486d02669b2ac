/**
 * A session: a user signed in on one device, until sign-out or the reuse of a refresh token. Records holds the tokens.
 */
import type { Aggregate, Decide } from './aggregate.ts';

// ── Events ──
export type SessionEvent =
  | { type: 'SessionOpened'; data: { sessionId: string; userId: string } }
  /** `reused`: a client sent an old refresh token, so all tokens of the session were revoked. */
  | { type: 'SessionEnded'; data: { sessionId: string; reason: 'signed-out' | 'reused' } };

// ── State ──
export type SessionState = { status: 'none' } | { status: 'open' } | { status: 'ended' };

export const session: Aggregate<SessionState, SessionEvent> = {
  stream: 'session',
  versions: { SessionOpened: 1, SessionEnded: 1 },
  personal: {},
  initial: { status: 'none' },
  evolve(_state, event) {
    switch (event.type) {
      case 'SessionOpened':
        return { status: 'open' };
      case 'SessionEnded':
        return { status: 'ended' };
    }
  },
};

// ── Decide ──
export function openSession(sessionId: string, userId: string): Decide<SessionState, SessionEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'SessionOpened', data: { sessionId, userId } }] : []);
}

/** Decides nothing unless the session is open. */
export function endSession(sessionId: string, reason: 'signed-out' | 'reused'): Decide<SessionState, SessionEvent> {
  return (state) => (state.status === 'open' ? [{ type: 'SessionEnded', data: { sessionId, reason } }] : []);
}
