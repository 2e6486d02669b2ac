/** Disconnects a source and deletes its credentials. No run reads it any more. Its restore points stay. */
import { transact } from '../activity/store.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import type { Platform } from '../domain/ports.ts';
import { disconnectSource as disconnect, source } from '../domain/source.ts';
import type { CommandContext, Written } from './context.ts';
import { dropCredentials } from './credentials.ts';

/** Throws Problem `not-found`, `precondition-failed` or `conflict`. */
export async function disconnectSource(
  platform: Platform,
  context: CommandContext,
  id: string,
): Promise<{ written: Written }> {
  const name = streamName(context.account, 'source', id);
  const { stream, version } = await transact(platform, source, name, disconnect(id), context).catch(
    async (error: unknown) => {
      // The first attempt may have died after the event. Its repeat finds no source but still deletes the credentials.
      if (error instanceof Problem && error.code === 'not-found') await dropCredentials(platform, context.account, id);
      throw error;
    },
  );
  await dropCredentials(platform, context.account, id);
  return { written: { stream, version } };
}
