/** Ids of another account in every place an id can be, each beside one that never was. */
import { collectionOf, rightRequest } from './cases.ts';
import { exampleOf, type Operation } from './document.ts';
import type { Sent } from './send.ts';
import { unknownLike, type World } from './world.ts';

export type Pair = { what: string; foreign: Sent; unknown: Sent; ids: [string, string] };

const idPrefix = /^\^(\w{3})_\[/;

export function foreignIds(operation: Operation, world: World): Pair[] {
  const { ada, eve } = world;
  const pairs: Pair[] = [];
  const { method, url, parameters, bodies, open } = operation;
  if (open) return [];
  const add = (where: string, id: string, make: (id: string) => Sent) =>
    pairs.push({ what: `${method} ${url}: ${where}`, foreign: make(id), unknown: make(unknownLike(id)), ids: [id, unknownLike(id)] });
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
