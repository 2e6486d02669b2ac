/** Ends a session. `reused`: a client sent an old refresh token, so it may be stolen. */
import { transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { endSession as end, session } from '../domain/session.ts';
import type { CommandContext } from './context.ts';

/** Idempotent. */
export async function endSession(
  platform: Platform,
  context: CommandContext,
  sessionId: string,
  reason: 'signed-out' | 'reused',
): Promise<void> {
  await transact(platform, session, streamName(context.account, 'session', sessionId), end(sessionId, reason), context);
}
