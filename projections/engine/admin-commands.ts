/** What operators may ask of the read models, as plain data: so that it can be sent to a function, or typed at a prompt. */
import type { JsonObject, Platform, StreamNotification } from '../../domain/ports.ts';
import { beginBuilding } from './generations.ts';
import { type Parked, parked, unpark } from './parking.ts';
import type { Projection } from './projection.ts';
import { handleNotifications } from './runner.ts';

export type AdminCommand =
  | { parked: { projection?: string; account?: string } }
  | { unpark: { projection: string; stream?: string } }
  | { rebuild: { projection: string } }
  /** Wake-ups that may never have come. */
  | { wake: StreamNotification[] };

const mostListed = 1000;

/** Throws, saying what there is, for anything else. */
export async function handleAdminCommand(
  platform: Platform,
  projections: Projection[],
  command: AdminCommand,
): Promise<JsonObject> {
  if ('parked' in command) return list(platform, command.parked);
  if ('unpark' in command)
    return unpark(platform, named(projections, command.unpark.projection), command.unpark.stream);
  if ('wake' in command) {
    await handleNotifications(platform, projections, command.wake);
    return { woken: command.wake.length };
  }
  if (!('rebuild' in command)) throw new Error('one of parked, unpark, rebuild and wake');
  const { building } = await beginBuilding(platform, named(projections, command.rebuild.projection), true);
  return { generation: building?.generation ?? null };
}

async function list(platform: Platform, only: { projection?: string; account?: string }): Promise<JsonObject> {
  const items: Parked[] = [];
  for await (const each of parked(platform, only)) {
    if (items.length === mostListed) return { items, more: true };
    items.push(each);
  }
  return { items, more: false };
}

function named(projections: Projection[], name: string): Projection {
  const projection = projections.find((each) => each.name === name);
  if (!projection)
    throw new Error(`there is no projection ${name}, but ${projections.map((each) => each.name).join(', ')}`);
  return projection;
}
