/** For whom and because of what a command runs, and the ids that follow from it. */
import { createHash } from 'node:crypto';
import type { Cause } from '../domain/event.ts';
import { type IdKind, makeId } from '../domain/ids.ts';

/** `ifVersion`: the versions of the stream that the caller knows (`If-Match`); any other is refused. */
export type CommandContext = Cause & { account: string; ifVersion?: readonly number[] | undefined };

/** Where a write went, for the Consistency-Token. */
export type Written = { stream: string; version: number };

/** A created thing's id follows from the command, so that a repeated command creates nothing new. */
export function newId(context: Pick<Cause, 'commandId'>, kind: IdKind): string {
  return makeId(kind, createHash('sha256').update(`${context.commandId}|${kind}`).digest());
}

/** What the system does of itself, because of an event; the same for each repeat. */
export function systemContext(account: string, processor: string, correlationId: string, what: string): CommandContext {
  const commandId = createHash('sha256').update(`${account}|${processor}|${what}`).digest('hex');
  return { account, actor: { type: 'system', id: processor }, commandId, correlationId };
}
