/** Delivers one message of every type many times, several at once: it has one effect and appends one event. */
import { rename } from 'node:fs/promises';
import { expect } from 'vitest';
import { canonicalJson } from '../../api/secret-keys.ts';
import { requestExport } from '../../commands/grant-download.ts';
import type { JsonObject, Platform, StreamNotification } from '../../domain/ports.ts';
import type { Chaos } from '../../infra/embedded/chaos.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { findRestorePoint } from '../../projections/files/listing.ts';
import { projections } from '../../projections/index.ts';
import { auditLedger } from '../support/ledger.ts';
import { changeCorpus, makeCorpus } from './corpus.ts';
import { account, command } from './world.ts';

type Handle = (body: JsonObject) => Promise<void>;
type Scene = {
  platform: Platform;
  source: string;
  jobId: string;
  sourceId: string;
  request(): Promise<string>;
  settle(handle: Handle): Promise<void>;
};

/** Two backups with changes between them, a zip, and a run that fails because its source is gone. */
export async function everyMessage(
  { platform, source, jobId, sourceId, request, settle }: Scene,
  handle: Handle,
): Promise<void> {
  await makeCorpus(source);
  await request();
  await settle(handle);
  await changeCorpus(source);
  await request();
  await settle(handle);
  const restorePoint = await findRestorePoint(platform, account, { jobId });
  if (!restorePoint) throw new Error('there is no restore point');
  const { runId, manifest, at: backedUpAt } = restorePoint;
  await requestExport(platform, command(), { sourceId, jobId, runId, manifest, backedUpAt, paths: ['photos'] });
  await settle(handle);
  await rename(source, `${source} elsewhere`);
  await request();
  await settle(handle);
  await rename(`${source} elsewhere`, source);
}

/** The types of the messages that `everyMessage` causes. */
export const everyType = ['clean', 'commit', 'download.requested.v1', 'run.ended.v1', 'run.requested.v1', 'store'];

/**
 * Handles each message `times` times, `atOnce` concurrently. A message with the same body that arrives later is handled
 * once. `seen` counts the different messages by type.
 */
export function deliverRepeatedly(
  handle: Handle,
  times: number,
  atOnce: number,
): { handle: Handle; seen: { [type: string]: number } } {
  const seen: { [type: string]: number } = {};
  const known = new Set<string>();
  return {
    seen,
    async handle(body) {
      const text = JSON.stringify(body);
      if (known.has(text)) return handle(body);
      known.add(text);
      const type = body.type === 'task' ? (String(body.name).split('-')[0] ?? '') : String(body.type);
      seen[type] = (seen[type] ?? 0) + 1;
      for (let done = 0; done < times; done += atOnce)
        await Promise.all(Array.from({ length: atOnce }, () => handle(body)));
    },
  };
}

/** Expects the events of `everyMessage`, each once. */
export async function expectOneOfEach(platform: Platform): Promise<void> {
  expect(await auditLedger(platform, account)).toMatchObject({
    RunRequested: 3,
    RestorePointCreated: 2,
    RunEnded: 1,
    DownloadRequested: 1,
    DownloadPrepared: 1,
  });
}

/** Notifies the projections of every commit again, `atOnce` concurrently, in other orders. No row may change. */
export async function expectRowsUnchanged(
  platform: Platform,
  chaos: Chaos,
  times: number,
  atOnce: number,
): Promise<void> {
  const notifications: StreamNotification[] = await platform.events.ledger(account, { order: 'asc', limit: 10_000 });
  const before = await allRows(platform);
  const tell = async () => {
    for (let done = 0; done < times; done += atOnce) {
      const order = chaos.shuffled(notifications);
      // Streams deliver a few at a time
      for (let at = 0; at < order.length; at += 10)
        await handleNotifications(platform, projections, order.slice(at, at + 10));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, tell));
  expect(await allRows(platform)).toEqual(before);
}

/** Every row of every read model as canonical JSON, sorted. */
export async function allRows({ rows }: Platform): Promise<string[]> {
  const texts: string[] = [];
  for (const { name } of projections) {
    for (let cursor: string | undefined; ; ) {
      const { items, next } = await rows.scan(name, { limit: 1000, ...(cursor ? { cursor } : {}) });
      texts.push(...items.map((row) => `${name} ${canonicalJson(row)}`));
      if (!next) break;
      cursor = next;
    }
  }
  return texts.sort();
}
