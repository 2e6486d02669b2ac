/** What of a commit leaves the house: ids and types, never data. */
import { parseStream, wireType } from '../domain/event.ts';
import type { BusEvent, Platform, StoredCommit } from '../domain/ports.ts';
import { decode, UnreadableCommit } from './decode.ts';

/** Nothing, and an error in the log, for a damaged commit: it must not hold up those behind it. Throws for one that newer code wrote. */
export async function announcements(
  platform: Pick<Platform, 'blobs' | 'log'>,
  commit: StoredCommit,
): Promise<BusEvent[]> {
  const { account } = parseStream(commit.stream);
  const events = await decode(platform, commit).catch((error: unknown) => {
    if (!(error instanceof UnreadableCommit) || error.why === 'unknown') throw error;
    platform.log.error('a damaged commit was not announced', { stream: commit.stream, version: commit.version }, error);
    return [];
  });
  return events.map(({ id, type, schemaVersion, stream, version, index, at }) => ({
    id,
    type: wireType(type, schemaVersion),
    account,
    stream,
    version,
    index,
    at,
  }));
}
