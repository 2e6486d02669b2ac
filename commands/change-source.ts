/** A source's name, config or credentials are replaced. */
import { load, transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';
import { changeSource as change, mustBeConnected, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';
import { dropCredentials, putCredentials } from './credentials.ts';

export type ChangeSource = { name: string; config: JsonObject; credentials?: JsonObject | undefined };

/** A source as the log has it, also where no read model has it yet. Throws Problem `not-found`. */
export async function findSource(
  platform: Platform,
  account: string,
  id: string,
): Promise<{ type: string; createdAt: string }> {
  const { state, since } = await load(platform, source, streamName(account, 'source', id));
  mustBeConnected(state, id);
  return { type: state.kind, createdAt: since };
}

/** Throws Problem `not-found`, and `precondition-failed`, and then changes nothing. Without `credentials` the stored ones stay. */
export async function changeSource(
  platform: Platform,
  context: CommandContext,
  id: string,
  input: ChangeSource,
): Promise<{ written: Written }> {
  const { account } = context;
  const name = streamName(account, 'source', id);
  const decide = change(id, { name: input.name, config: input.config }, input.credentials !== undefined);
  const { stream, version } = await transact(platform, source, name, decide, context);
  if (input.credentials) {
    // Only now: who is refused must not have replaced them.
    await putCredentials(platform, account, id, input.credentials, version);
    // Whoever disconnected it meanwhile has destroyed them, and may have been faster.
    if ((await load(platform, source, name)).state.status !== 'connected') await dropCredentials(platform, account, id);
  }
  return { written: { stream, version } };
}
