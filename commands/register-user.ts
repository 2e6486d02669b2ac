/** Registers a user. The identity port stores the password, the event store gets the user and the account. */
import { newId } from '../activity/ids.ts';
import { load, transact } from '../activity/store.ts';
import { account, openAccount } from '../domain/account.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { registerUser as register, user } from '../domain/user.ts';
import type { CommandContext, Written } from './context.ts';

type Person = { userId: string; accountId: string; email: string; name: string };
export type Registered =
  | {
      outcome: 'registered';
      user: { id: string; email: string; name: string };
      account: { id: string; name: string; role: 'owner' };
      written: Written[];
    }
  | { outcome: 'confirm' };

/** Opens an account with the user as owner. Throws Problem `email-taken` or `weak-password`. */
export async function registerUser(
  platform: Platform,
  context: Omit<CommandContext, 'account' | 'actor'>,
  input: { email: string; password: string; name: string },
): Promise<Registered> {
  const userId = newId(context, 'user');
  const accountId = newId(context, 'account');
  const result = await platform.identity.register({ ...input, userId, accountId });
  switch (result.outcome) {
    case 'weak-password':
      throw new Problem('weak-password', result.detail, { errors: [{ path: 'password', message: result.detail }] });
    case 'confirm':
      return { outcome: 'confirm' };
    case 'taken':
      if (!(await isOwn(platform, input, userId))) {
        throw new Problem('email-taken', 'Sign in with POST /auth/login, or register another address.');
      }
  }
  const person = { userId, accountId, email: input.email, name: input.name };
  const written = await recordPerson(platform, context, person);
  return {
    outcome: 'registered',
    user: { id: userId, email: input.email, name: input.name },
    account: { id: accountId, name: input.name, role: 'owner' },
    written,
  };
}

/**
 * Whether an earlier attempt of this command registered the e-mail address and then died. The user id follows from the
 * command, so the ids are equal.
 */
async function isOwn(
  { identity }: Platform,
  { email, password }: { email: string; password: string },
  userId: string,
): Promise<boolean> {
  const known = await identity.signIn(email, password);
  return known.outcome === 'signed-in' && known.userId === userId;
}

/**
 * Appends the user and the account unless they exist. Sign-up calls it, and sign-in after a sign-up that died half-way.
 */
export async function recordPerson(
  platform: Platform,
  context: Omit<CommandContext, 'account' | 'actor'>,
  person: Person,
): Promise<Written[]> {
  const { userId, accountId, email, name } = person;
  const cause = { ...context, actor: { type: 'user', id: userId } } as const;
  const stream = streamName(accountId, 'user', userId);
  // Once data exists, a missing key is an error. A new key could not read it.
  if ((await load(platform, user, stream)).head.version === 0) {
    await platform.keys.createAccount(accountId);
    for (const subject of [userId, accountId]) await platform.keys.createSubject(accountId, subject);
  }
  const registered = await transact(platform, user, stream, register({ userId, accountId, email, name }), cause);
  const open = openAccount({ accountId, ownerId: userId, name });
  const opened = await transact(platform, account, streamName(accountId, 'account', accountId), open, cause);
  return [registered, opened].map(({ stream, version }) => ({ stream, version }));
}
