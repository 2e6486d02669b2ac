/** A source's name, config or credentials are replaced. */
import { load, transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import type { JsonObject, Machine } from '../domain/ports.ts';
import { changeSource as change, mustBeConnected, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';
import { putCredentials } from './credentials.ts';

export type ChangeSource = { name: string; config: JsonObject; credentials?: JsonObject | undefined };

/** Throws Problem `not-found`. Without `credentials` the stored ones stay. */
export async function changeSource(
  machine: Machine,
  context: CommandContext,
  id: string,
  input: ChangeSource,
): Promise<{ written: Written }> {
  const name = streamName(context.account, 'source', id);
  mustBeConnected((await load(machine, source, name)).state, id);
  if (input.credentials) await putCredentials(machine, context.account, id, input.credentials);
  const decide = change(id, { name: input.name, config: input.config }, input.credentials !== undefined);
  const { stream, version } = await transact(machine, source, name, decide, context);
  return { written: { stream, version } };
}
