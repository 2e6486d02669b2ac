/** What is measured of each event store, and how a store is put to it. */

/** Made anew in an empty folder: WAL, synchronised at every commit. Streams are numbered from 0, their versions from 1. */
export type EventLog = {
  /** Appends an event as that version, which must be the stream's next, and as nothing else. Durable when it resolves. */
  append(stream: number, version: number): Promise<void>;
  /** Loads the stream, decides on its state and appends what was decided. */
  command(stream: number): Promise<void>;
  /** Makes a stream of so many events. */
  fill(stream: number, events: number): Promise<void>;
  /** Loads a stream and folds it; how many events it had. */
  load(stream: number): Promise<number>;
  /** Reads every event of every stream in the order of their appends; how many. `opened`: with what is personal decrypted. */
  replay(opened: boolean): Promise<number>;
  /** What SQLite itself says of how it syncs. */
  durability(): Promise<string>;
  close(): Promise<void>;
};

export type Store = {
  name: string;
  settings: string;
  open(folder: string): Promise<EventLog>;
};

/** Every event's data, a little under 300 bytes of JSON; `name` is what is personal about it. */
export function eventData(stream: number, version: number): { jobId: string; sourceId: string; name: string } {
  const number = String(stream).padStart(26, '0');
  return {
    jobId: `job_${number}`,
    sourceId: `src_${number}`,
    name: `Nightly backup of the office share, version ${version}. `.repeat(4),
  };
}

/** Who did it and why, stored with each event. */
export const cause = {
  actor: { type: 'user', id: `usr_${'0'.repeat(26)}` },
  commandId: 'c'.repeat(64),
  correlationId: `run_${'0'.repeat(26)}`,
} as const;
