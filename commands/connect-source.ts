/** A source is connected: its credentials go where no event can show them, then the event says that it is there. */
import { transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { JsonObject, Machine } from '../domain/ports.ts';
import { connectSource as connect, source } from '../domain/source.ts';
import { type CommandContext, newId, type Written } from './context.ts';
import { putCredentials } from './credentials.ts';

export type ConnectSource = { type: string; name: string; config: JsonObject; credentials: JsonObject | null };

/** The config and credentials have been checked against the connector's schema by the caller. */
export async function connectSource(
  machine: Machine,
  context: CommandContext,
  input: ConnectSource,
): Promise<{ id: string; at: string; written: Written }> {
  const id = newId(context, 'source');
  if (input.credentials) await putCredentials(machine, context.account, id, input.credentials);
  const decide = connect(id, input.type, { name: input.name, config: input.config });
  const { stream, version, at } = await transact(machine, source, streamName(context.account, 'source', id), decide, context);
  return { id, at, written: { stream, version } };
}
