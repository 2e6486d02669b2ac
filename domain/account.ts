/** The tenant. It owns sources, jobs, backups and a ledger of its commits. */

import type { Aggregate, Decide } from './aggregate.ts';
import type { Personal } from './event.ts';

// ── Events ──
export type AccountEvent = {
  type: 'AccountOpened';
  data: { accountId: string; ownerId: string; name: Personal<string> };
};

// ── State ──
export type AccountState = { status: 'none' } | { status: 'open'; ownerId: string };

export const account: Aggregate<AccountState, AccountEvent> = {
  stream: 'account',
  versions: { AccountOpened: 1 },
  personal: { AccountOpened: { name: (_, data) => data.ownerId } },
  initial: { status: 'none' },
  evolve(_state, event) {
    switch (event.type) {
      case 'AccountOpened':
        return { status: 'open', ownerId: event.data.ownerId };
    }
  },
};

// ── Decide ──
export function openAccount(
  data: Extract<AccountEvent, { type: 'AccountOpened' }>['data'],
): Decide<AccountState, AccountEvent> {
  return (state) => (state.status === 'none' ? [{ type: 'AccountOpened', data }] : []);
}
