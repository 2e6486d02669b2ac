/** What of a commit leaves the house: ids and types, never data. */
import { parseStream, wireType } from '../domain/event.ts';
import type { BusEvent, Machine, StoredCommit } from '../domain/ports.ts';
import { decode } from './decode.ts';

export async function announcements(machine: Pick<Machine, 'blobs'>, commit: StoredCommit): Promise<BusEvent[]> {
  const { account } = parseStream(commit.stream);
  const events = await decode(machine, commit);
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
