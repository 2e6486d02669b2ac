/** Ids that follow from a command, so that a repeated command makes the same ids. */
import { hash } from 'node:crypto';
import { type IdKind, makeId } from '../crypto/ids.ts';
import type { Cause } from '../domain/event.ts';

/** The id of the thing that a command creates. A command creates at most one thing of each kind. */
export function newId(cause: Pick<Cause, 'commandId'>, kind: IdKind): string {
  return derivedId(kind, `${cause.commandId}|${kind}`);
}

/** The id of an event. `index` is its position in the commit. */
export function eventId(stream: string, version: number, index: number, commandId: string): string {
  return derivedId('event', `${stream}|${version}|${index}|${commandId}`);
}

function derivedId(kind: IdKind, text: string): string {
  return makeId(kind, Buffer.from(hash('sha256', text), 'hex'));
}
