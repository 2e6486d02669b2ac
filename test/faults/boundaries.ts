/** Calls `reached` after each durable write: the moments at which a killed process leaves work half done. */
import { parseStream } from '../../domain/event.ts';
import type { Platform, RecordKey } from '../../domain/ports.ts';

type Reached = (step: string) => void | Promise<void>;

/** The kind of a record: its name for `run#…` records (`plan`, `part`), else its prefix (`chunk`, `open-runs`). */
function kindOf({ pk, sk }: RecordKey): string {
  return (pk.startsWith('run#') ? (sk.split('-')[0] ?? '') : (pk.split(/[/#]/)[0] ?? '')) || 'none';
}

export function watched(platform: Platform, reached: Reached): Platform {
  async function after<T>(step: string, work: Promise<T>): Promise<T> {
    const result = await work;
    await reached(step);
    return result;
  }
  const { events, rows, records, blobs, queue } = platform;
  return {
    ...platform,
    events: {
      ...events,
      append: (commit) => after(`append:${parseStream(commit.stream).type}`, events.append(commit)),
    },
    rows: {
      ...rows,
      apply: (projection, stream, version, changes) =>
        after(`apply:${projection}`, rows.apply(projection, stream, version, changes)),
    },
    records: {
      ...records,
      write: (writes) => after(`record:${writes[0] ? kindOf(writes[0]) : 'none'}`, records.write(writes)),
      add: (key, add, expiresAt) => after(`record:${kindOf(key)}`, records.add(key, add, expiresAt)),
      putMany: (all) => (all[0] ? after(`record:${kindOf(all[0])}`, records.putMany(all)) : records.putMany(all)),
    },
    blobs: { ...blobs, put: (key, body, options) => after(`blob:${key.split('/')[0]}`, blobs.put(key, body, options)) },
    queue: {
      ...queue,
      send: (name, messages) => after(`send:${String(messages[0]?.body.type)}`, queue.send(name, messages)),
      ack: (name, receipt) => after(`ack:${name}`, queue.ack(name, receipt)),
    },
  };
}
