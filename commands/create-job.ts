/** Creates a job. */
import { newId } from '../activity/ids.ts';
import { createStream, load } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import { createJob as create, job } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import { mustBeConnected, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';

/** A repeat returns the result of the first. Throws Problem `not-found` if the source does not exist. */
export async function createJob(
  platform: Platform,
  context: CommandContext,
  input: { name: string; sourceId: string },
): Promise<{ id: string; at: string; written: Written }> {
  const { state } = await load(platform, source, streamName(context.account, 'source', input.sourceId));
  mustBeConnected(state, input.sourceId);
  const id = newId(context, 'job');
  const decide = create({ jobId: id, sourceId: input.sourceId, name: input.name });
  const { stream, version, at } = await createStream(
    platform,
    job,
    streamName(context.account, 'job', id),
    decide,
    context,
  );
  return { id, at, written: { stream, version } };
}
