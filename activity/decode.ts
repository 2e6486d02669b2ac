/**
 * The only way to read events: verify the hash, parse, map wire names to event types. Personal fields stay encrypted.
 * `decrypt` in personal-data.ts decrypts them.
 */
import { aggregates } from '../domain/catalogue.ts';
import { type DomainEvent, type Recorded, wireType } from '../domain/event.ts';
import type { Platform, StoredCommit } from '../domain/ports.ts';
import { type CommitBody, isIntact } from './commit.ts';

/** Wire name → event type and schema version. An upcaster for an older schema version belongs in this table. */
const eventTypes = new Map(
  aggregates.flatMap((aggregate) =>
    Object.entries<number>(aggregate.versions).map(
      ([type, version]) => [wireType(type, version), { type, schemaVersion: version }] as const,
    ),
  ),
);

/**
 * The commit is at fault, not the platform. `damaged`: its bytes are missing or changed. `unknown`: newer code wrote
 * it.
 */
export class UnreadableCommit extends Error {
  readonly why: 'damaged' | 'unknown';

  constructor(why: UnreadableCommit['why'], { stream, version }: StoredCommit, detail: string) {
    super(`Commit ${version} of ${stream} cannot be read: ${detail}`);
    this.name = 'UnreadableCommit';
    this.why = why;
  }
}

/** The body, from the commit or from its blob, verified against its hash. Throws UnreadableCommit. */
export async function commitBytes(platform: Pick<Platform, 'blobs'>, commit: StoredCommit): Promise<Uint8Array> {
  const bytes = 'bytes' in commit.body ? commit.body.bytes : await platform.blobs.get(commit.body.blob);
  if (!bytes) throw new UnreadableCommit('damaged', commit, 'its blob is missing');
  if (!isIntact(commit, bytes)) throw new UnreadableCommit('damaged', commit, 'it does not match its hash');
  return bytes;
}

/** The events of a commit. Throws UnreadableCommit, and the errors of the platform. */
export async function decode<E extends DomainEvent = DomainEvent>(
  platform: Pick<Platform, 'blobs'>,
  commit: StoredCommit,
): Promise<Recorded<E>[]> {
  const { events, ...common } = parse(commit, await commitBytes(platform, commit));
  return events.map((event, index) => {
    const eventType = eventTypes.get(event.type);
    if (!eventType) throw new UnreadableCommit('unknown', commit, `a newer version wrote its event ${event.type}`);
    return {
      ...common,
      ...eventType,
      id: event.id,
      data: event.data,
      stream: commit.stream,
      version: commit.version,
      index,
    } as Recorded<E>;
  });
}

function parse(commit: StoredCommit, bytes: Uint8Array): CommitBody {
  try {
    const body: CommitBody = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
    if (Array.isArray(body.events)) return body;
  } catch {
    // Not rethrown: a syntax error quotes the bytes, which may be personal.
  }
  throw new UnreadableCommit('damaged', commit, 'it matches its hash but is not a ListBackup commit');
}
