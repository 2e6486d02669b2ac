/** In which row the cursor of (projection, stream) may rest: for machines that write less when both are in one. */
import { parseStream } from '../../domain/event.ts';
import { inGeneration, parseCursorName } from './generations.ts';
import type { Projection, RowHome } from './projection.ts';

/** `projection` as cursors are named: of any generation. */
export function homesOf(projections: Projection[]): (projection: string, stream: string) => RowHome | undefined {
  const byName = new Map<string, Projection>(projections.map((projection) => [projection.name, projection]));
  return (name, stream) => {
    const { projection, generation } = parseCursorName(name);
    const home = byName.get(projection)?.home;
    const key = home && stream.split('/').length === 3 ? home(parseStream(stream)) : undefined;
    return key && inGeneration(generation, key);
  };
}
