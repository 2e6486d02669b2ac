/** A session is over: its owner signed out, or an old refresh token gave a thief away. */
import { transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { endSession as end, session } from '../domain/session.ts';
import type { CommandContext } from './context.ts';

export async function endSession(
  platform: Platform,
  context: CommandContext,
  sessionId: string,
  reason: 'signed-out' | 'reused',
): Promise<void> {
  await transact(platform, session, streamName(context.account, 'session', sessionId), end(sessionId, reason), context);
}
