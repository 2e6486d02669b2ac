/** What every event is made of, whatever its noun. */
import type { Json, JsonObject } from './ports.ts';

/** A personal value at rest: AES-256-GCM under the subject's key. It can be copied about without being opened. */
export type Encrypted = { $encrypted: string; subject: string };

/** A field that holds personal data: the value while a command works with it, sealed wherever it rests, null once erased. */
export type Personal<T extends Json> = T | Encrypted | null;

export type Actor = { type: 'user' | 'api-key' | 'system'; id: string };

/** Who did it, and what led to it. `commandId` is the same for each repeat of one command. */
export type Cause = { actor: Actor; commandId: string; correlationId: string; causationId?: string };

/** An event as its noun's file declares it: a name in the past tense and its data. */
export type DomainEvent = { type: string; data: JsonObject };

/** An event with all that was recorded about it. */
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

/** Who each personal field of an event is about: the subject whose key seals it. */
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

export function parseStream(stream: string): StreamParts {
  const [account, type, id, ...rest] = stream.split('/');
  if (!account || !type || !id || rest.length > 0) throw new Error(`not a stream name: ${stream}`);
  return { account, type, id };
}

/**
 * The name of an event in storage and on the bus: the subject in kebab-case, a dot, the verb (the last word), the schema
 * version. `RestorePointCreated`, 1 → `restore-point.created.v1`.
 */
export function wireType(type: string, schemaVersion: number): string {
  const words = type.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, '-').toLowerCase();
  return `${words.replace(/-(?=[^-]*$)/, '.')}.v${schemaVersion}`;
}

export function isEncrypted(value: unknown): value is Encrypted {
  return typeof value === 'object' && value !== null && '$encrypted' in value;
}
