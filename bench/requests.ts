/** Counts the requests of a backup to an S3 bucket. One pass is enough, because counts do not vary. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { phases } from './contestant.ts';
import type { Corpus } from './corpus.ts';
import { startProduct } from './listbackup.ts';
import { askVersion, runMeasured } from './processes.ts';
import { row, titles } from './report.ts';
import { type Requests, type S3Counter, startS3Counter } from './s3-counter.ts';

export type RequestCount = {
  name: string;
  phases: { requests: Requests; kinds: { [kind: string]: number }; bytes: number }[];
};

const bucket = 'bench-bucket';
const keys = { AWS_ACCESS_KEY_ID: 'bench', AWS_SECRET_ACCESS_KEY: 'bench-secret', AWS_REGION: 'us-east-1' };

/** The counts of ListBackup and restic, if chosen and installed. borg does not support buckets. */
export async function countRequests(
  corpus: Corpus,
  work: string,
  tools: string[],
  say: (line: string) => void,
): Promise<RequestCount[]> {
  const counts: RequestCount[] = [];
  for (const { tool: key, name, open } of countable) {
    if (!tools.includes(key)) continue;
    await rm(work, { recursive: true, force: true });
    await mkdir(work);
    const counter = await startS3Counter();
    const tool = await open(corpus, counter, work);
    try {
      const measured = tool && (await countPhases(corpus, counter, tool.backup));
      if (!tool) say(`${name} is not installed, so its requests are not counted`);
      else if (!measured) say(`${name} sent no request to the bucket, so its requests are not counted`);
      else counts.push({ name, phases: measured });
    } finally {
      await tool?.close();
      await counter.close();
      await rm(work, { recursive: true });
    }
  }
  return counts;
}

const countable = [
  { tool: 'listbackup', name: 'ListBackup', open: openListbackup },
  { tool: 'restic', name: 'restic', open: openRestic },
];

type Tool = { backup(): Promise<unknown>; close(): Promise<void> };

async function openListbackup(corpus: Corpus, { endpoint }: S3Counter, work: string): Promise<Tool> {
  const product = await startProduct(corpus, {
    ...keys,
    LISTBACKUP_DATA: join(work, 'data'),
    LISTBACKUP_BLOBS: `s3://${bucket}/backups`,
    // Settings of the shell would take precedence
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_SESSION_TOKEN: '',
  });
  return { backup: () => product.run(), close: () => product.stop() };
}

async function openRestic(corpus: Corpus, { endpoint }: S3Counter, work: string): Promise<Tool | undefined> {
  if ((await askVersion('restic', ['version'])) === undefined) return undefined;
  const RESTIC_REPOSITORY = `s3:${endpoint}/${bucket}/backups`;
  const env = {
    ...keys,
    RESTIC_REPOSITORY,
    RESTIC_PASSWORD: 'correct horse battery',
    RESTIC_CACHE_DIR: join(work, 'cache'),
  };
  await runMeasured('restic', ['init', '--repository-version', '2'], env);
  return { backup: () => runMeasured('restic', ['backup', '--quiet', corpus.tree], env), close: async () => {} };
}

async function countPhases(
  corpus: Corpus,
  counter: S3Counter,
  backup: () => Promise<unknown>,
): Promise<RequestCount['phases'] | undefined> {
  const measure = async () => {
    const [before, kinds, bytes] = [counter.count(), counter.kinds(), counter.bytes()];
    await backup();
    const after = counter.count();
    const more = [...counter.kinds()].map(([kind, count]) => [kind, count - (kinds.get(kind) ?? 0)] as const);
    const requests = {
      writes: after.writes - before.writes,
      reads: after.reads - before.reads,
      deletes: after.deletes - before.deletes,
    };
    return {
      requests,
      kinds: Object.fromEntries(more.filter(([, count]) => count > 0)),
      bytes: counter.bytes() - bytes,
    };
  };
  const first = await measure();
  if (first.bytes === 0) return undefined;
  const unchanged = await measure();
  await corpus.change();
  try {
    return [first, unchanged, await measure()];
  } finally {
    await corpus.revert();
  }
}

export function requestTable(counts: RequestCount[]): string {
  const lines = [
    '| backup to a bucket | tool | PUT, POST, LIST | GET, HEAD | DELETE | bytes added | by folder |',
    '| --- | --- | ---: | ---: | ---: | ---: | --- |',
  ];
  for (const [i, phase] of phases.entries()) {
    for (const { name, phases: measured } of counts) {
      const { requests, kinds = {}, bytes = 0 } = measured[i] ?? {};
      const { writes = 0, reads = 0, deletes = 0 } = requests ?? {};
      const byFolder = Object.entries(kinds).map(([kind, count]) => `${kind} ${count}`);
      lines.push(row([titles[phase], name, ...[writes, reads, deletes, bytes].map(String), byFolder.join(', ')]));
    }
  }
  return lines.join('\n');
}
