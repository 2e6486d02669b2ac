/** The interface of a measured event store, and its measures. */

/** A new event store in an empty folder, in WAL mode, synced at every commit. Streams count from 0, versions from 1. */
export type EventLog = {
  /** Appends an event at that version, which must be the stream's next. Durable when it resolves. */
  append(stream: number, version: number): Promise<void>;
  /** Loads the stream, decides and appends. */
  command(stream: number): Promise<void>;
  /** Creates a stream with that many events. */
  fill(stream: number, events: number): Promise<void>;
  /** Loads a stream and folds it. Returns its number of events. */
  load(stream: number): Promise<number>;
  /** Reads all events in order of their appends. Returns their number. `decrypt` decrypts personal fields. */
  replay(decrypt: boolean): Promise<number>;
  /** SQLite's own report of its sync mode. */
  durability(): Promise<string>;
  close(): Promise<void>;
};

export type Store = {
  name: string;
  settings: string;
  open(folder: string): Promise<EventLog>;
};

/** The data of an event: a little under 300 bytes of JSON. `name` is personal. */
export function eventData(stream: number, version: number): { jobId: string; sourceId: string; name: string } {
  const number = String(stream).padStart(26, '0');
  return {
    jobId: `job_${number}`,
    sourceId: `src_${number}`,
    name: `Nightly backup of the office share, version ${version}. `.repeat(4),
  };
}

/** Actor and cause, stored with each event. */
export const cause = {
  actor: { type: 'user', id: `usr_${'0'.repeat(26)}` },
  commandId: 'c'.repeat(64),
  correlationId: `run_${'0'.repeat(26)}`,
} as const;
