/** For whom and because of what a command runs, and the ids that follow from it. */
import { createHash } from 'node:crypto';
import type { Cause } from '../domain/event.ts';

/** `ifVersion`: the versions of the stream that the caller knows (`If-Match`); any other is refused. */
export type CommandContext = Cause & { account: string; ifVersion?: readonly number[] | undefined };

/** Where a write went, for the Consistency-Token. */
export type Written = { stream: string; version: number };

/** What the system does of itself, because of an event; the same for each repeat. */
export function systemContext(account: string, processor: string, correlationId: string, what: string): CommandContext {
  const commandId = createHash('sha256').update(`${account}|${processor}|${what}`).digest('hex');
  return { account, actor: { type: 'system', id: processor }, commandId, correlationId };
}
