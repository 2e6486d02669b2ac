/** A job is deleted: it runs no more. Its backups stay browsable under their source. */
import { transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import { job, deleteJob as remove } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

/** Throws Problem `not-found`. */
export async function deleteJob(
  platform: Platform,
  context: CommandContext,
  id: string,
): Promise<{ written: Written }> {
  const { stream, version } = await transact(
    platform,
    job,
    streamName(context.account, 'job', id),
    remove(id),
    context,
  );
  return { written: { stream, version } };
}
