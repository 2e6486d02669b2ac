/** Renames a job. */
import { transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import { job, renameJob as rename } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

/** Throws Problem `not-found`, `precondition-failed` or `conflict`. */
export async function renameJob(
  platform: Platform,
  context: CommandContext,
  id: string,
  name: string,
): Promise<{ written: Written }> {
  const jobStream = streamName(context.account, 'job', id);
  const { stream, version } = await transact(platform, job, jobStream, rename(id, name), context);
  return { written: { stream, version } };
}
