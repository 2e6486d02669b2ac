/** The one way to read an event: verify → parse → name. Sealed fields stay sealed until someone asks (`reveal` in seal.ts). */
import { aggregates } from '../domain/catalogue.ts';
import { type DomainEvent, type Recorded, wireType } from '../domain/event.ts';
import type { Platform, StoredCommit } from '../domain/ports.ts';
import { type CommitBody, isIntact } from './commit.ts';

/** Wire name → what the code calls it. An upcaster for an older version of an event belongs in this table. */
const names = new Map(
  aggregates.flatMap((aggregate) =>
    Object.entries<number>(aggregate.versions).map(
      ([type, version]) => [wireType(type, version), { type, schemaVersion: version }] as const,
    ),
  ),
);

/** The commit itself is at fault, not the machine: its bytes are gone or altered (`damaged`), or newer code wrote it (`unknown`). */
export class UnreadableCommit extends Error {
  readonly why: 'damaged' | 'unknown';

  constructor(why: UnreadableCommit['why'], { stream, version }: StoredCommit, detail: string) {
    super(`commit ${version} of ${stream} cannot be read: ${detail}`);
    this.name = 'UnreadableCommit';
    this.why = why;
  }
}

/** The commit's bytes, from the commit or from its blob, checked against its hash. Throws UnreadableCommit. */
export async function commitBytes(platform: Pick<Platform, 'blobs'>, commit: StoredCommit): Promise<Uint8Array> {
  const bytes = 'bytes' in commit.body ? commit.body.bytes : await platform.blobs.get(commit.body.blob);
  if (!bytes) throw new UnreadableCommit('damaged', commit, 'its body is missing');
  if (!isIntact(commit, bytes)) throw new UnreadableCommit('damaged', commit, 'it is not what its hash says');
  return bytes;
}

/** The events of a commit. Throws UnreadableCommit, and what the machine throws. */
export async function decode<E extends DomainEvent = DomainEvent>(
  platform: Pick<Platform, 'blobs'>,
  commit: StoredCommit,
): Promise<Recorded<E>[]> {
  const { events, ...common } = parse(commit, await commitBytes(platform, commit));
  return events.map((event, index) => {
    const name = names.get(event.type);
    if (!name) throw new UnreadableCommit('unknown', commit, `a newer version wrote its event ${event.type}`);
    return {
      ...common,
      ...name,
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
    // A syntax error would quote the bytes.
  }
  throw new UnreadableCommit('damaged', commit, 'it is intact but no commit of ours');
}
