/**
 * Marks of streams with news, by day, for the reconcile. DynamoDB cannot list the streams that changed, so the first
 * commit of a stream on a day (UTC) leaves a mark in `Records`: pk `news/{day}/{lane}`, sk the stream. Lanes keep the
 * marks of a day off a single partition.
 *
 * The mark is written before the commit. So a crash leaves a mark without a commit, but no commit without a mark.
 */
import { hash } from 'node:crypto';
import type { EventStore, Page, Records } from '../../domain/ports.ts';

export const newsLanes = 4;
/** How long a mark exists. */
export const newsDays = 90;

export type News = {
  /** A page of the streams that have a commit of that day (`2026-12-31`). Some may have none. */
  streams(day: string, lane: number, page: { limit: number; cursor?: string }): Promise<Page<string>>;
};

export function awsNews(records: Records): News {
  return {
    async streams(day, lane, page) {
      const { items, next } = await records.query(pkOf(day, lane), page);
      return { items: items.map(({ sk }) => sk), next };
    },
  };
}

/** The event store, with a mark before the first append to a stream on a day. A mark costs 1 write unit. */
export function markingNews(events: EventStore, records: Records): EventStore {
  return {
    ...events,
    async append(commit, previousAt) {
      const day = dayOf(commit.at);
      if (previousAt === undefined || dayOf(previousAt) !== day) {
        const expiresAt = Math.floor(Date.parse(commit.at) / 1000) + newsDays * 24 * 60 * 60;
        await records.putMany([{ pk: pkOf(day, laneOf(commit.stream)), sk: commit.stream, data: {}, expiresAt }]);
      }
      return events.append(commit, previousAt);
    },
  };
}

/** The day (UTC) of an ISO 8601 time. Empty for an empty text. */
export function dayOf(time: string): string {
  return time.slice(0, 10);
}

function pkOf(day: string, lane: number): string {
  return `news/${day}/${lane}`;
}

function laneOf(stream: string): number {
  return Number.parseInt(hash('sha256', stream).slice(0, 2), 16) % newsLanes;
}
