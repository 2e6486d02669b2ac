/** Ids of another account in every place an id can be, each beside one that never was. */
import { collectionOf, rightRequest } from './cases.ts';
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
  const right = rightRequest(operation, world);
  if (url.includes('{')) {
    add('in the path', eve.ids[collectionOf(url)] ?? '', (id) => ({ ...right, path: url.replace(/\{\w+\}/, id) }));
  }
  for (const { in: where, name, schema } of parameters) {
    const prefix = idPrefix.exec(schema.pattern ?? '')?.[1];
    if (where === 'query' && prefix) {
      add(name, eve.byPrefix[prefix] ?? '', (id) => ({
        ...right,
        path: `${right.path}${right.path.includes('?') ? '&' : '?'}${name}=${id}`,
      }));
    }
  }
  for (const body of bodies) {
    for (const [name, schema] of Object.entries(body.properties ?? {})) {
      const prefix = idPrefix.exec(schema.pattern ?? '')?.[1];
      const id = prefix ? eve.byPrefix[prefix] : /Id$/.test(name) ? eve.ids['data/files'] : undefined;
      if (id === undefined) continue;
      const whole = exampleOf(body, ada.byPrefix) as object;
      add(name, id, (one) => ({ ...right, body: JSON.stringify({ ...whole, [name]: one }) }));
    }
  }
  return pairs;
}

/** Whatever tells the id of another account from one that never was, or gives something of it. Throws when there are next to none. */
export async function foreignFaults(
  operations: readonly Operation[],
  world: World,
  send: (sent: Sent) => Promise<Got>,
): Promise<string[]> {
  const pairs = operations.flatMap((operation) => foreignIds(operation, world));
  if (pairs.length < 15) throw new Error(`ids of another account were tried in ${pairs.length} places only`);
  const faults: string[] = [];
  for (const { what, foreign, unknown, ids } of pairs) {
    const [theirs, nobodys] = [await send(foreign), await send(unknown)];
    const same = (text: string) => ids.reduce((all, id) => all.replaceAll(id, 'ID'), text);
    if (theirs.status !== nobodys.status || same(theirs.text) !== same(nobodys.text)) {
      faults.push(`${what}: ${theirs.status} ${theirs.text}, but of an unknown one ${nobodys.status} ${nobodys.text}`);
    }
    // a filter finds nothing; what cannot be changed to any other is refused whatever it is
    const fixed = foreign.method === 'PUT' && what.endsWith(': sourceId');
    const expected =
      theirs.status === 200 ? theirs.text === '{"items":[],"next":null}' : theirs.status === (fixed ? 400 : 404);
    if (!expected) faults.push(`${what}: ${theirs.status} ${theirs.text}`);
  }
  return faults;
}
