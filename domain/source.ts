/** A source of data to back up, such as a bucket or a folder. No event holds its credentials. */

import type { Aggregate, Decide } from './aggregate.ts';
import { Problem } from './errors.ts';
import type { Personal } from './event.ts';
import type { JsonObject } from './ports.ts';

// ── Events ──
export type SourceSettings = { name: Personal<string>; config: Personal<JsonObject> };

export type SourceEvent =
  | { type: 'SourceConnected'; data: { sourceId: string; kind: string } & SourceSettings }
  /** `credentialsRotated`: the change stored new credentials. */
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

/** Throws Problem `not-found`. */
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

/** Throws Problem `not-found`. */
export function disconnectSource(sourceId: string): Decide<SourceState, SourceEvent> {
  return (state) => {
    mustBeConnected(state, sourceId);
    return [{ type: 'SourceDisconnected', data: { sourceId } }];
  };
}

/** Throws Problem `not-found` for a source that is disconnected, was never connected or belongs to another account. */
export function mustBeConnected(
  state: SourceState,
  sourceId: string,
): asserts state is Extract<SourceState, { status: 'connected' }> {
  if (state.status !== 'connected')
    throw new Problem('not-found', `Source ${sourceId} does not exist. List sources with GET /sources.`);
}
