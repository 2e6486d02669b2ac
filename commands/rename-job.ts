/** A job gets another name. */
import { transact } from '../activity/store.ts';
import { streamName } from '../domain/event.ts';
import { job, renameJob as rename } from '../domain/job.ts';
import type { Machine } from '../domain/ports.ts';
import type { CommandContext, Written } from './context.ts';

/** Throws Problem `not-found`. */
export async function renameJob(machine: Machine, context: CommandContext, id: string, name: string): Promise<{ written: Written }> {
  const { stream, version } = await transact(machine, job, streamName(context.account, 'job', id), rename(id, name), context);
  return { written: { stream, version } };
}
