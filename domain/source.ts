/** A place in someone else's cloud (or a folder of this box) whose data is kept. Its credentials never enter an event. */

import type { Aggregate, Decide } from './aggregate.ts';
import { Problem } from './errors.ts';
import type { Personal } from './event.ts';
import type { JsonObject } from './ports.ts';

// ── Events ──
export type SourceSettings = { name: Personal<string>; config: Personal<JsonObject> };

export type SourceEvent =
  | { type: 'SourceConnected'; data: { sourceId: string; kind: string } & SourceSettings }
  /** `credentialsRotated`: new ones were stored; which, nobody learns here. */
  | { type: 'SourceChanged'; data: { sourceId: string; credentialsRotated: boolean } & SourceSettings }
  | { type: 'SourceDisconnected'; data: { sourceId: string } };

// ── State ──
export type SourceState =
  | { status: 'none' }
  | { status: 'connected'; kind: string; name: Personal<string>; config: Personal<JsonObject> }
  | { status: 'disconnected' };

const subject = (_: unknown, data: { sourceId: string }) => data.sourceId;

export const source: Aggregate<SourceState, SourceEvent> = {
  stream: 'source',
  versions: { SourceConnected: 1, SourceChanged: 1, SourceDisconnected: 1 },
  personal: {
    SourceConnected: { name: subject, config: subject },
    SourceChanged: { name: subject, config: subject },
  },
  initial: { status: 'none' },
  evolve(state, event) {
    switch (event.type) {
      case 'SourceConnected':
        return { status: 'connected', kind: event.data.kind, name: event.data.name, config: event.data.config };
      case 'SourceChanged':
        return state.status === 'connected' ? { ...state, name: event.data.name, config: event.data.config } : state;
      case 'SourceDisconnected':
        return { status: 'disconnected' };
    }
  },
};

// ── Decide ──
export function connectSource(
  sourceId: string,
  kind: string,
  settings: SourceSettings,
): Decide<SourceState, SourceEvent> {
  return (state) =>
    state.status === 'none' ? [{ type: 'SourceConnected', data: { sourceId, kind, ...settings } }] : [];
}

export function changeSource(
  sourceId: string,
  settings: SourceSettings,
  credentialsRotated: boolean,
): Decide<SourceState, SourceEvent> {
  return (state) => {
    mustBeConnected(state, sourceId);
    return [{ type: 'SourceChanged', data: { sourceId, credentialsRotated, ...settings } }];
  };
}

export function disconnectSource(sourceId: string): Decide<SourceState, SourceEvent> {
  return (state) => {
    mustBeConnected(state, sourceId);
    return [{ type: 'SourceDisconnected', data: { sourceId } }];
  };
}

/** Another account's source is as absent as one that never was. */
export function mustBeConnected(
  state: SourceState,
  sourceId: string,
): asserts state is Extract<SourceState, { status: 'connected' }> {
  if (state.status !== 'connected')
    throw new Problem('not-found', `There is no source ${sourceId}. GET /sources lists yours.`);
}
