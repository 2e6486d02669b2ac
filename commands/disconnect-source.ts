/** A source is disconnected: nothing more is fetched from it. What was backed up stays, and its credentials are destroyed. */
import { transact } from '../activity/store.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { disconnectSource as disconnect, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';
import { dropCredentials } from './credentials.ts';

/** Throws Problem `not-found`. */
export async function disconnectSource(
  platform: Platform,
  context: CommandContext,
  id: string,
): Promise<{ written: Written }> {
  const name = streamName(context.account, 'source', id);
  const { stream, version } = await transact(platform, source, name, disconnect(id), context).catch(
    async (error: unknown) => {
      // Who was cut off before they were destroyed asks again, and finds the source gone.
      if (error instanceof Problem && error.code === 'not-found') await dropCredentials(platform, context.account, id);
      throw error;
    },
  );
  await dropCredentials(platform, context.account, id);
  return { written: { stream, version } };
}
