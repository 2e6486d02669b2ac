/** Replaces the name and config of a source, and its credentials if new ones are given. */
import { load, transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';
import { changeSource as change, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';
import { dropCredentials, putCredentials } from './credentials.ts';

/** Without `credentials` the stored ones stay. */
export type ChangeSource = { name: string; config: JsonObject; credentials?: JsonObject | undefined };

/** Throws Problem `not-found`, `precondition-failed` or `conflict`, and then changes nothing. */
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
    // Stored after the event, so that a refused command changes no credentials.
    await putCredentials(platform, account, id, input.credentials, version);
    // A concurrent disconnect may have deleted the credentials before this command stored them.
    if ((await load(platform, source, name)).state.status !== 'connected') await dropCredentials(platform, account, id);
  }
  return { written: { stream, version } };
}
