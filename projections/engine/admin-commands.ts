/** Admin commands as plain data, so that they can be sent to a function or typed in a shell. */
import type { JsonObject, Platform, StreamNotification } from '../../domain/ports.ts';
import { beginBuilding } from './generations.ts';
import { type Parked, parked, unpark } from './parking.ts';
import type { Projection } from './projection.ts';
import { handleNotifications } from './runner.ts';

export type AdminCommand =
  | { parked: { projection?: string; account?: string } }
  | { unpark: { projection: string; stream?: string } }
  | { rebuild: { projection: string } }
  /** Stream notifications that may have been lost. */
  | { notify: StreamNotification[] };

const maxListed = 1000;

/** Executes an admin command. Throws for an unknown command or projection, and names the known ones. */
export async function handleAdminCommand(
  platform: Platform,
  projections: Projection[],
  command: AdminCommand,
): Promise<JsonObject> {
  if ('parked' in command) return list(platform, command.parked);
  if ('unpark' in command)
    return unpark(platform, projectionNamed(projections, command.unpark.projection), command.unpark.stream);
  if ('notify' in command) {
    await handleNotifications(platform, projections, command.notify);
    return { notified: command.notify.length };
  }
  if (!('rebuild' in command))
    throw new Error('Unknown admin command. Send one of parked, unpark, rebuild and notify.');
  const { building } = await beginBuilding(platform, projectionNamed(projections, command.rebuild.projection), true);
  return { generation: building?.generation ?? null };
}

async function list(platform: Platform, filter: { projection?: string; account?: string }): Promise<JsonObject> {
  const items: Parked[] = [];
  for await (const item of parked(platform, filter)) {
    if (items.length === maxListed) return { items, more: true };
    items.push(item);
  }
  return { items, more: false };
}

function projectionNamed(projections: Projection[], name: string): Projection {
  const projection = projections.find((candidate) => candidate.name === name);
  if (!projection)
    throw new Error(
      `Projection ${name} does not exist. Use one of ${projections.map((known) => known.name).join(', ')}.`,
    );
  return projection;
}
