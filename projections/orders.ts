/** What operators may ask of the read models, as plain data: so that it can be sent to a function, or typed at a prompt. */
import type { JsonObject, Machine, Wakeup } from '../domain/ports.ts';
import { beginBuilding } from './generations.ts';
import { type Parked, parked, unpark } from './parking.ts';
import type { Projection } from './projection.ts';
import { handleWakeups } from './runner.ts';

export type Order =
  | { parked: { projection?: string; account?: string } }
  | { unpark: { projection: string; stream?: string } }
  | { rebuild: { projection: string } }
  /** Wake-ups that may never have come. */
  | { wake: Wakeup[] };

const mostListed = 1000;

/** Throws, saying what there is, for anything else. */
export async function handleOrder(machine: Machine, projections: Projection[], order: Order): Promise<JsonObject> {
  if ('parked' in order) return list(machine, order.parked);
  if ('unpark' in order) return unpark(machine, named(projections, order.unpark.projection), order.unpark.stream);
  if ('wake' in order) {
    await handleWakeups(machine, projections, order.wake);
    return { woken: order.wake.length };
  }
  if (!('rebuild' in order)) throw new Error('one of parked, unpark, rebuild and wake');
  const { building } = await beginBuilding(machine, named(projections, order.rebuild.projection), true);
  return { generation: building?.generation ?? null };
}

async function list(machine: Machine, only: { projection?: string; account?: string }): Promise<JsonObject> {
  const items: Parked[] = [];
  for await (const each of parked(machine, only)) {
    if (items.length === mostListed) return { items, more: true };
    items.push(each);
  }
  return { items, more: false };
}

function named(projections: Projection[], name: string): Projection {
  const projection = projections.find((each) => each.name === name);
  if (!projection) throw new Error(`there is no projection ${name}, but ${projections.map((each) => each.name).join(', ')}`);
  return projection;
}
