/** A job gets another name. */
import { load, transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import { job, mustBeActive, renameJob as rename } from '../domain/job.ts';
import type { Platform } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

/** A job as the log has it, also where no read model has it yet. Throws Problem `not-found`. */
export async function findJob(
  platform: Platform,
  account: string,
  id: string,
): Promise<{ sourceId: string; createdAt: string }> {
  const { state, since } = await load(platform, job, streamName(account, 'job', id));
  mustBeActive(state, id);
  return { sourceId: state.sourceId, createdAt: since };
}

/** Throws Problem `not-found`. */
export async function renameJob(
  platform: Platform,
  context: CommandContext,
  id: string,
  name: string,
): Promise<{ written: Written }> {
  const { stream, version } = await transact(
    platform,
    job,
    streamName(context.account, 'job', id),
    rename(id, name),
    context,
  );
  return { written: { stream, version } };
}
