/** Somebody signed in on some device, until they sign out or a stolen token gives them away. Tokens themselves are in Records. */
import type { Aggregate, Decide } from './aggregate.ts';

// ── Events ──
export type SessionEvent =
  | { type: 'SessionOpened'; data: { sessionId: string; userId: string } }
  /** `reused`: an old refresh token came back, so every descendant of it was revoked. */
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

export function endSession(sessionId: string, reason: 'signed-out' | 'reused'): Decide<SessionState, SessionEvent> {
  return (state) => (state.status === 'open' ? [{ type: 'SessionEnded', data: { sessionId, reason } }] : []);
}
