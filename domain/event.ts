/** The parts that events of all aggregates share: envelope, personal fields, stream names and wire names. */
import type { Json, JsonObject } from './ports.ts';

/** A personal value at rest: AES-256-GCM under the subject's key. Code may copy it without decrypting it. */
export type Encrypted = { $encrypted: string; subject: string };

/** A personal field: plain in a command, encrypted in the event store and in rows, null after its subject is erased. */
export type Personal<T extends Json> = T | Encrypted | null;

export type Actor = { type: 'user' | 'api-key' | 'system'; id: string };

/** The actor and the cause of a commit. All repeats of a command have the same `commandId`. */
export type Cause = { actor: Actor; commandId: string; correlationId: string; causationId?: string };

/** An event as its aggregate declares it. `type` is in the past tense. */
export type DomainEvent = { type: string; data: JsonObject };

/** A stored event. `version` is that of its commit, `index` its position in the commit. */
export type Recorded<E extends DomainEvent = DomainEvent> = {
  id: string;
  type: E['type'];
  data: E['data'];
  schemaVersion: number;
  at: string;
  stream: string;
  version: number;
  index: number;
} & Cause;

/** For each personal field of an event, the subject whose key encrypts it. */
export type PersonalFields<E extends DomainEvent> = {
  [T in E['type']]?: {
    [F in keyof Extract<E, { type: T }>['data']]?: (
      stream: StreamParts,
      data: Extract<E, { type: T }>['data'],
    ) => string;
  };
};

export type StreamParts = { account: string; type: string; id: string };

export function streamName(account: string, type: string, id: string): string {
  return `${account}/${type}/${id}`;
}

/** Throws for text that is not a stream name. */
export function parseStream(stream: string): StreamParts {
  const [account, type, id, ...rest] = stream.split('/');
  if (!account || !type || !id || rest.length > 0) throw new Error(`not a stream name: "${stream}"`);
  return { account, type, id };
}

/**
 * The name of an event in the event store and on the bus. `RestorePointCreated`, 1 → `restore-point.created.v1`. The
 * verb is the last word.
 */
export function wireType(type: string, schemaVersion: number): string {
  const words = type.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '-').toLowerCase();
  return `${words.replace(/-(?=[^-]*$)/, '.')}.v${schemaVersion}`;
}

export function isEncrypted(value: unknown): value is Encrypted {
  return typeof value === 'object' && value !== null && '$encrypted' in value;
}
