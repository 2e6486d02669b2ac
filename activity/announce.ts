/** The bus events of commits: ids and types, no event data. */
import { parseStream, wireType } from '../domain/event.ts';
import type { BusEvent, Platform, StoredCommit } from '../domain/ports.ts';
import { decode, UnreadableCommit } from './decode.ts';

/**
 * For a damaged commit: logs an error and returns none, so that it does not block the commits after it. Throws
 * UnreadableCommit for a commit that newer code wrote.
 */
export async function announcements(
  platform: Pick<Platform, 'blobs' | 'log'>,
  commit: StoredCommit,
): Promise<BusEvent[]> {
  const { account } = parseStream(commit.stream);
  const events = await decode(platform, commit).catch((error: unknown) => {
    if (!(error instanceof UnreadableCommit) || error.why === 'unknown') throw error;
    platform.log.error(
      'a damaged commit was not published on the bus',
      { stream: commit.stream, version: commit.version },
      error,
    );
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

/** The announcements of all commits, in their order. */
export async function announcementsOf(
  platform: Pick<Platform, 'blobs' | 'log'>,
  commits: StoredCommit[],
): Promise<BusEvent[]> {
  return (await Promise.all(commits.map((commit) => announcements(platform, commit)))).flat();
}
