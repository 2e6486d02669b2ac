/** Turns the events of a command into the commit to store: wire names, ids, encryption, hash chain. */
import type { Aggregate } from '../domain/aggregate.ts';
import { type Cause, type DomainEvent, isEncrypted, parseStream, type StreamParts, wireType } from '../domain/event.ts';
import type { Json, JsonObject, Platform, StoredCommit } from '../domain/ports.ts';
import { type CommitBody, commitHash, type Head, sha256 } from './commit.ts';
import { eventId } from './ids.ts';
import { encrypt } from './personal-data.ts';

/** Bytes. Larger commits are stored in a blob. */
const inlineLimit = 64 * 1024;

/** The next commit of the stream. Stores a large body as a blob first, so that no commit refers to a missing blob. */
export async function encodeCommit<S, E extends DomainEvent>(
  platform: Pick<Platform, 'keys' | 'random' | 'blobs' | 'now'>,
  aggregate: Aggregate<S, E>,
  stream: string,
  head: Head,
  events: E[],
  cause: Cause,
): Promise<StoredCommit> {
  const parts = parseStream(stream);
  const version = head.version + 1;
  const at = new Date(platform.now()).toISOString();
  const { actor, commandId, correlationId, causationId } = cause;
  const body: CommitBody = {
    at,
    actor,
    commandId,
    correlationId,
    ...(causationId ? { causationId } : {}),
    events: await Promise.all(
      events.map(async (event, index) => ({
        id: eventId(stream, version, index, cause.commandId),
        type: wireType(event.type, aggregate.versions[event.type as E['type']]),
        data: await encryptPersonal(platform, aggregate, parts, event),
      })),
    ),
  };
  const bytes = Buffer.from(JSON.stringify(body));
  const bytesHash = sha256(bytes);
  const common = { stream, version, at, prevHash: head.hash, hash: commitHash(stream, version, head.hash, bytesHash) };
  if (bytes.length <= inlineLimit) return { ...common, body: { bytes } };
  const blob = `commits/${parts.account}/${bytesHash}`;
  await platform.blobs.put(blob, bytes, { ifAbsent: true });
  return { ...common, body: { blob, bytesHash } };
}

async function encryptPersonal<S, E extends DomainEvent>(
  platform: Pick<Platform, 'keys' | 'random'>,
  aggregate: Aggregate<S, E>,
  parts: StreamParts,
  event: E,
): Promise<JsonObject> {
  const personal: { [field: string]: ((stream: StreamParts, data: never) => string) | undefined } =
    aggregate.personal[event.type as E['type']] ?? {};
  const data: { [field: string]: Json } = {};
  for (const [name, value] of Object.entries(event.data)) {
    const subject = personal[name];
    const mustEncrypt = subject && value !== null && !isEncrypted(value);
    data[name] = mustEncrypt
      ? await encrypt(platform, parts.account, subject(parts, event.data as never), value)
      : value;
  }
  return data;
}
