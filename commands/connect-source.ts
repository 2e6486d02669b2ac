/** A source is connected: its credentials go where no event can show them, then the event says that it is there. */
import { newId } from '../activity/ids.ts';
import { begin, load } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';
import { connectSource as connect, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';
import { putCredentials } from './credentials.ts';

export type ConnectSource = { type: string; name: string; config: JsonObject; credentials: JsonObject | null };

/** The config and credentials have been checked against the connector's schema by the caller. A repeat changes nothing, and is told what the first was. */
export async function connectSource(
  platform: Platform,
  context: CommandContext,
  input: ConnectSource,
): Promise<{ id: string; at: string; written: Written }> {
  const id = newId(context, 'source');
  const stream = streamName(context.account, 'source', id);
  // Where it is there already, others may have come since, or it was disconnected and must have none.
  const isRepeat = input.credentials !== null && (await load(platform, source, stream)).state.status !== 'none';
  if (input.credentials && !isRepeat) await putCredentials(platform, context.account, id, input.credentials, 1);
  const decide = connect(id, input.type, { name: input.name, config: input.config });
  const { version, at } = await begin(platform, source, stream, decide, context);
  return { id, at, written: { stream, version } };
}
