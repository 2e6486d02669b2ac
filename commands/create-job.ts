/** A job says what is to be backed up. */
import { newId } from '../activity/ids.ts';
import { begin, load } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import { createJob as create, job } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import { mustBeConnected, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';

/** A repeat is told what the first was. Throws Problem `not-found` when the account has no such source. */
export async function createJob(
  platform: Platform,
  context: CommandContext,
  input: { name: string; sourceId: string },
): Promise<{ id: string; at: string; written: Written }> {
  const { state } = await load(platform, source, streamName(context.account, 'source', input.sourceId));
  mustBeConnected(state, input.sourceId);
  const id = newId(context, 'job');
  const decide = create({ jobId: id, sourceId: input.sourceId, name: input.name });
  const { stream, version, at } = await begin(platform, job, streamName(context.account, 'job', id), decide, context);
  return { id, at, written: { stream, version } };
}
