/** Deletes a job, so that it runs no more. Its restore points stay under their source. */
import { transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import { job, deleteJob as remove } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

/** Throws Problem `not-found`, `precondition-failed` or `conflict`. */
export async function deleteJob(
  platform: Platform,
  context: CommandContext,
  id: string,
): Promise<{ written: Written }> {
  const jobStream = streamName(context.account, 'job', id);
  const { stream, version } = await transact(platform, job, jobStream, remove(id), context);
  return { written: { stream, version } };
}
