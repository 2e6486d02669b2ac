/** The one way to read an event: verify → parse → name. Sealed fields stay sealed until someone asks (`reveal` in seal.ts). */
import { nouns } from '../domain/catalogue.ts';
import { type DomainEvent, type Recorded, wireType } from '../domain/event.ts';
import type { Machine, StoredCommit } from '../domain/ports.ts';
import { type CommitBody, verifyCommit } from './commit.ts';

/** Wire name → what the code calls it. An upcaster for an older version of an event belongs in this table. */
const names = new Map(
  nouns.flatMap((noun) =>
    Object.entries<number>(noun.versions).map(([type, version]) => [wireType(type, version), { type, schemaVersion: version }] as const),
  ),
);

/** The commit's bytes, from the commit or from its blob, checked against its hash. */
export async function commitBytes(machine: Pick<Machine, 'blobs'>, commit: StoredCommit): Promise<Uint8Array> {
  const bytes = 'bytes' in commit.body ? commit.body.bytes : await machine.blobs.get(commit.body.blob);
  if (!bytes) throw new Error(`the body of commit ${commit.version} of ${commit.stream} is missing`);
  verifyCommit(commit, bytes);
  return bytes;
}

/** The events of a commit. Throws when the bytes were altered or an event is of a kind this code does not know. */
export async function decode<E extends DomainEvent = DomainEvent>(
  machine: Pick<Machine, 'blobs'>,
  commit: StoredCommit,
): Promise<Recorded<E>[]> {
  const { events, ...common }: CommitBody = JSON.parse(Buffer.from(await commitBytes(machine, commit)).toString('utf8'));
  return events.map((event, index) => {
    const name = names.get(event.type);
    if (!name) throw new Error(`event ${event.type} is unknown to this version: it was written by a newer one`);
    return { ...common, ...name, id: event.id, data: event.data, stream: commit.stream, version: commit.version, index } as Recorded<E>;
  });
}
