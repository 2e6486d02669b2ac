/** The context that a command runs in, and the result that it returns. */
import { createHash } from 'node:crypto';
import type { Cause } from '../domain/event.ts';

/** `ifVersion` (`If-Match`): the command is refused unless the stream has one of these versions. */
export type CommandContext = Cause & { account: string; ifVersion?: readonly number[] | undefined };

/** The stream version that a command wrote. The API makes the Consistency-Token from it. */
export type Written = { stream: string; version: number };

/**
 * The context of a command that a processor runs. Equal arguments give the same command id, so repeats are idempotent.
 */
export function systemContext(account: string, processor: string, correlationId: string, task: string): CommandContext {
  const commandId = createHash('sha256').update(`${account}|${processor}|${task}`).digest('hex');
  return { account, actor: { type: 'system', id: processor }, commandId, correlationId };
}
