/** Sends ids of another account in every path, query and body, and compares with ids that do not exist. */
import { collectionOf, validRequest } from './cases.ts';
import { exampleOf, type Operation } from './document.ts';
import type { Got, Sent } from './send.ts';
import { unknownLike, type World } from './world.ts';

type Pair = { what: string; foreign: Sent; unknown: Sent; ids: [string, string] };

const idPrefix = /^\^(\w{3})_\[/;

function foreignIds(operation: Operation, world: World): Pair[] {
  const { ada, eve } = world;
  const pairs: Pair[] = [];
  const { method, url, parameters, bodies, open } = operation;
  if (open) return [];
  const add = (where: string, id: string, make: (id: string) => Sent) =>
    pairs.push({
      what: `${method} ${url}: ${where}`,
      foreign: make(id),
      unknown: make(unknownLike(id)),
      ids: [id, unknownLike(id)],
    });
  const valid = validRequest(operation, world);
  if (url.includes('{')) {
    add('in the path', eve.ids[collectionOf(url)] ?? '', (id) => ({ ...valid, path: url.replace(/\{\w+\}/, id) }));
  }
  for (const { in: where, name, schema } of parameters) {
    const prefix = idPrefix.exec(schema.pattern ?? '')?.[1];
    if (where === 'query' && prefix) {
      add(name, eve.byPrefix[prefix] ?? '', (id) => ({
        ...valid,
        path: `${valid.path}${valid.path.includes('?') ? '&' : '?'}${name}=${id}`,
      }));
    }
  }
  for (const body of bodies) {
    for (const [name, schema] of Object.entries(body.properties ?? {})) {
      const prefix = idPrefix.exec(schema.pattern ?? '')?.[1];
      const id = prefix ? eve.byPrefix[prefix] : /Id$/.test(name) ? eve.ids['data/files'] : undefined;
      if (id === undefined) continue;
      const whole = exampleOf(body, ada.byPrefix) as object;
      add(name, id, (one) => ({ ...valid, body: JSON.stringify({ ...whole, [name]: one }) }));
    }
  }
  return pairs;
}

/**
 * Returns the requests whose answer differs between an id of another account and an id that does not exist, or that
 * returns data of the other account. Throws if it found too few ids to try.
 */
export async function foreignFaults(
  operations: readonly Operation[],
  world: World,
  send: (sent: Sent) => Promise<Got>,
): Promise<string[]> {
  const pairs = operations.flatMap((operation) => foreignIds(operation, world));
  if (pairs.length < 15) throw new Error(`only ${pairs.length} requests take an id, at least 15 were expected`);
  const faults: string[] = [];
  for (const { what, foreign, unknown, ids } of pairs) {
    const [foreignAnswer, unknownAnswer] = [await send(foreign), await send(unknown)];
    const same = (text: string) => ids.reduce((all, id) => all.replaceAll(id, 'ID'), text);
    const { status, text } = foreignAnswer;
    if (status !== unknownAnswer.status || same(text) !== same(unknownAnswer.text)) {
      const other = `${unknownAnswer.status} ${unknownAnswer.text}`;
      faults.push(`${what}: ${status} ${text}, but ${other} for an unknown id`);
    }
    // A filter finds nothing. The source of a job cannot change, so any other id is a 400.
    const fixed = foreign.method === 'PUT' && what.endsWith(': sourceId');
    const expected = status === 200 ? text === '{"items":[],"next":null}' : status === (fixed ? 400 : 404);
    if (!expected) faults.push(`${what}: ${status} ${text}`);
  }
  return faults;
}
