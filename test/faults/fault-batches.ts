/** Splits batches for the fault proxy: it forwards one part, and the answer reports the rest as not done. */
import type { Chaos } from '../../infra/embedded/chaos.ts';

/** `body` is the request to forward. `answer` adds the rest to the server's answer, as failed. */
export type Part = { body: Buffer; answer(body: Buffer): Buffer };
type Split = (body: Buffer, chaos: Chaos) => Part | undefined;

/** Splits a request of that operation. Undefined for operations that AWS does as a whole. */
export function partOf(operation: string): Split | undefined {
  return splits[operation];
}

const splits: { [operation: string]: Split } = {
  BatchWriteItem: (body, chaos) => {
    const all: { RequestItems: { [table: string]: unknown[] } } = JSON.parse(body.toString());
    const halves = Object.entries(all.RequestItems).map(([table, requests]) => ({ table, ...halve(requests, chaos) }));
    const left = Object.fromEntries(
      halves.filter((each) => each.left.length > 0).map((each) => [each.table, each.left]),
    );
    const taken = halves.filter((each) => each.taken.length > 0).map((each) => [each.table, each.taken]);
    if (taken.length === 0) return undefined;
    return rewritten({ ...all, RequestItems: Object.fromEntries(taken) }, (answer) => ({
      ...answer,
      UnprocessedItems: left,
    }));
  },

  BatchGetItem: (body, chaos) => {
    const all: { RequestItems: { [table: string]: { Keys: unknown[] } } } = JSON.parse(body.toString());
    const halves = Object.entries(all.RequestItems).map(([table, asked]) => ({
      table,
      asked,
      ...halve(asked.Keys, chaos),
    }));
    const only = (which: 'taken' | 'left') =>
      Object.fromEntries(
        halves
          .filter((each) => each[which].length > 0)
          .map((each) => [each.table, { ...each.asked, Keys: each[which] }]),
      );
    if (Object.keys(only('taken')).length === 0) return undefined;
    return rewritten({ ...all, RequestItems: only('taken') }, (answer) => ({
      ...answer,
      UnprocessedKeys: only('left'),
    }));
  },

  SendMessageBatch: sqsBatch,
  DeleteMessageBatch: sqsBatch,
  ChangeMessageVisibilityBatch: sqsBatch,

  PutEvents: (body, chaos) => {
    const all: { Entries: unknown[] } = JSON.parse(body.toString());
    const { taken, left } = halve(all.Entries, chaos);
    if (taken.length === 0) return undefined;
    const refused = () => ({
      ErrorCode: chaos.chance(0.5) ? 'ThrottlingException' : 'InternalFailure',
      ErrorMessage: 'injected',
    });
    return rewritten({ ...all, Entries: taken }, (answer) => {
      const done = [...(answer.Entries as unknown[])];
      const Entries = all.Entries.map((entry) => (left.includes(entry) ? refused() : done.shift()));
      return { ...answer, Entries, FailedEntryCount: left.length + Number(answer.FailedEntryCount ?? 0) };
    });
  },

  DeleteObjects: (body, chaos) => {
    const objects = body.toString().match(/<Object>.*?<\/Object>/gs) ?? [];
    const { taken, left } = halve(objects, chaos);
    if (taken.length === 0) return undefined;
    const errors = left.map((each) =>
      each.replaceAll(/<(\/?)Object>/g, '<$1Error>').replace('</Error>', '<Code>InternalError</Code></Error>'),
    );
    return {
      body: Buffer.from(left.reduce((xml, each) => xml.replace(each, ''), body.toString())),
      answer: (answer) => Buffer.from(withErrors(answer.toString(), errors.join(''))),
    };
  },
};

function sqsBatch(body: Buffer, chaos: Chaos): Part | undefined {
  const all: { Entries: { Id: string }[] } = JSON.parse(body.toString());
  const { taken, left } = halve(all.Entries, chaos);
  if (taken.length === 0) return undefined;
  const failed = left.map(({ Id }) => ({ Id, SenderFault: false, Code: 'InternalError', Message: 'injected' }));
  return rewritten({ ...all, Entries: taken }, (answer) => ({
    ...answer,
    Failed: [...((answer.Failed as unknown[]) ?? []), ...failed],
  }));
}

function withErrors(xml: string, errors: string): string {
  const closed = xml.replace(/<DeleteResult([^>]*)\/>/, '<DeleteResult$1></DeleteResult>');
  return closed.replace('</DeleteResult>', `${errors}</DeleteResult>`);
}

function rewritten(asked: object, rewrite: (answer: { [name: string]: unknown }) => object): Part {
  return {
    body: Buffer.from(JSON.stringify(asked)),
    answer: (answer) => Buffer.from(JSON.stringify(rewrite(JSON.parse(answer.toString())))),
  };
}

/** Puts each item into one of the two halves, at random. */
function halve<T>(all: readonly T[], chaos: Chaos): { taken: T[]; left: T[] } {
  const left = all.filter(() => chaos.chance(0.5));
  return { taken: all.filter((each) => !left.includes(each)), left };
}
