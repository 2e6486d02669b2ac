/** Opens a session, before the API issues its first token. Completes a sign-up that died half-way. */
import { load, transact } from '../activity/store.ts';
import { account } from '../domain/account.ts';
import { streamName } from '../domain/event.ts';
import type { Platform, SignedIn } from '../domain/ports.ts';
import { openSession, session } from '../domain/session.ts';
import type { CommandContext, Written } from './context.ts';
import { recordPerson } from './register-user.ts';

/** `role`: the role of the user in the account. */
export async function signIn(
  platform: Platform,
  context: CommandContext,
  person: Extract<SignedIn, { outcome: 'signed-in' }>,
  sessionId: string,
): Promise<{ role: 'owner'; written: Written[] }> {
  const { state } = await load(platform, account, streamName(context.account, 'account', context.account));
  const completed = state.status === 'none' ? await recordPerson(platform, context, person) : [];
  const name = streamName(context.account, 'session', sessionId);
  const { stream, version } = await transact(platform, session, name, openSession(sessionId, person.userId), context);
  return { role: 'owner', written: [...completed, { stream, version }] };
}
