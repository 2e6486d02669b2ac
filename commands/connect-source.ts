/** Connects a source. Stores its credentials, then appends the event. No event holds credentials. */
import { newId } from '../activity/ids.ts';
import { createStream, load } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';
import { connectSource as connect, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';
import { putCredentials } from './credentials.ts';

export type ConnectSource = { type: string; name: string; config: JsonObject; credentials: JsonObject | null };

/**
 * The caller has checked config and credentials against the schema of the connector. A repeat changes nothing and
 * returns the result of the first.
 */
export async function connectSource(
  platform: Platform,
  context: CommandContext,
  input: ConnectSource,
): Promise<{ id: string; at: string; written: Written }> {
  const id = newId(context, 'source');
  const stream = streamName(context.account, 'source', id);
  if ((await load(platform, source, stream)).state.status === 'none') {
    await platform.keys.createSubject(context.account, id);
    // A repeat must not store them again: the source may have newer credentials, or be disconnected.
    if (input.credentials) await putCredentials(platform, context.account, id, input.credentials, 1);
  }
  const decide = connect(id, input.type, { name: input.name, config: input.config });
  const { version, at } = await createStream(platform, source, stream, decide, context);
  return { id, at, written: { stream, version } };
}
