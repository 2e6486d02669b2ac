/** Calls `reached` after each durable write: the moments at which a killed process leaves work half done. */
import { parseStream } from '../../domain/event.ts';
import type { JsonObject, Platform, RecordKey, RecordWrite } from '../../domain/ports.ts';

type Reached = (step: string) => void | Promise<void>;

/** The kind of a record: its name for `run#…` records (`plan`, `part`), else its prefix (`chunk`, `packs`). */
function kindOf({ pk, sk }: RecordKey): string {
  return (pk.startsWith('run#') ? (sk.split('-')[0] ?? '') : (pk.split(/[/#]/)[0] ?? '')) || 'none';
}

/** The kind of a transaction. Those of the task runner have the name of the change, and the kind of their task. */
function changeOf(writes: RecordWrite[]): string {
  const first = writes[0];
  if (!first) return 'none';
  if (!first.pk.startsWith('tasks#')) return kindOf(first);
  const task = writes.find(({ sk }) => sk.startsWith('task/'))?.sk.split(/[/-]/)[3];
  return task ? `${nameOf(first)}-${task}` : nameOf(first);
}

function nameOf(write: RecordWrite): string {
  const [type] = write.sk.split('/');
  if (write.op === 'delete') return 'end';
  if (write.op !== 'add') return type === 'group' ? 'begin' : 'slots';
  if (type === 'group') return write.add?.open === 1 ? 'start' : 'flags';
  if (type === 'account') return 'slots';
  const { set = {}, add = {} } = write;
  if (set.leaseUntil === 0) return set.state ? 'again' : 'taken-back';
  if (add.fence) return 'claim';
  if (set.state) return 'checkpoint';
  return set.leaseUntil ? 'heartbeat' : 'sent';
}

/** The kind of the task, or the type of the event. */
function sentBy(body: JsonObject = {}): string {
  return body.type === 'task' ? (String(body.name).split('-')[0] ?? '') : String(body.type);
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
      write: (writes) => after(`record:${changeOf(writes)}`, records.write(writes)),
      add: (key, add, expiresAt) => after(`record:${kindOf(key)}`, records.add(key, add, expiresAt)),
      putMany: (all) => (all[0] ? after(`record:${kindOf(all[0])}`, records.putMany(all)) : records.putMany(all)),
    },
    blobs: { ...blobs, put: (key, body, options) => after(`blob:${key.split('/')[0]}`, blobs.put(key, body, options)) },
    queue: {
      ...queue,
      send: (name, messages) => after(`send:${sentBy(messages[0]?.body)}`, queue.send(name, messages)),
      ack: (name, receipt) => after(`ack:${name}`, queue.ack(name, receipt)),
    },
  };
}
