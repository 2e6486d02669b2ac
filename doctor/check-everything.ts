/**
 * The checker: log, ledger, read models, manifests, packs, working state and, where asked, the sources compared with one another. It
 * reads through the ports alone, so it runs in both homes, at the end of every fault test and for operators (`listbackup doctor`).
 */
import { verify } from 'node:crypto';
import type { Platform, QueueName } from '../domain/ports.ts';
import type { RunRef } from '../processors/backup/run.ts';
import type { Deployment } from '../processors/deployment.ts';
import { projections } from '../projections/index.ts';
import { exportKey } from '../vault/exports.ts';
import { deriveVaultKeys, type VaultKeys } from '../vault/keys.ts';
import { checkCovered, checkLog } from './check-log.ts';
import { checkRows, checkStrays, seenRows } from './check-rows.ts';
import { checkVault } from './check-vault.ts';
import { checkWork } from './check-work.ts';
import { compareWithSource } from './compare-with-source.ts';
import { type Count, type Finding, failure, info } from './finding.ts';
import { type LogFacts, readFacts } from './log-facts.ts';

export type DoctorOptions = {
  /** Only this account; else all there are. */
  account?: string;
  /** Reads and decrypts everything that was ever backed up; else what says where it is and how much. */
  readData?: boolean;
  /** Nothing may be under way any more: what has not ended is a failure. */
  quiet?: boolean;
  /** Whether something is on its way that will go on with a run, where the home can tell. */
  isAwaited?: (runRef: RunRef) => boolean;
  /** Compares the newest backups with their sources, too. Only says something where the sources are quiet. */
  deployment?: Deployment;
  count?: Count;
};

/** All there is to find, as it is found. It changes nothing. Throws when the machine fails, not when something is damaged. */
export async function* checkEverything(platform: Platform, options: DoctorOptions = {}): AsyncGenerator<Finding> {
  const { count = () => {} } = options;
  yield* checkSigning(platform);
  yield* checkDeadLetters(platform, count);
  const accounts = await standing(platform);
  const seen = seenRows();
  for (const [account, streams] of accounts) {
    if (options.account === undefined || account === options.account)
      yield* checkAccount(platform, account, streams, seen, options);
  }
  if (options.account === undefined) yield* checkStrays(platform, projections, accounts, seen);
}

type Standing = Map<string, number>;

/** Every stream and where it stands, by account. */
async function standing({ events }: Platform): Promise<Map<string, Standing>> {
  const accounts = new Map<string, Standing>();
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await events.streams({ limit: 1000, ...(cursor ? { cursor } : {}) });
    for (const { stream, version } of items) {
      const account = stream.split('/', 1)[0] ?? '';
      const streams = accounts.get(account) ?? new Map();
      accounts.set(account, streams.set(stream, Math.max(version, streams.get(stream) ?? 0)));
    }
    if (!next) return accounts;
    cursor = next;
  }
}

async function* checkAccount(
  platform: Platform,
  account: string,
  streams: Standing,
  seen: ReturnType<typeof seenRows>,
  options: DoctorOptions,
): AsyncGenerator<Finding> {
  const { count = () => {}, readData = false, quiet = false, isAwaited, deployment } = options;
  const [reader, rows] = [readFacts(account), await checkRows(platform, projections, account, quiet)];
  const log = yield* checkLog(platform, account, {
    count,
    async seen(commit, events, whole) {
      reader.take(events);
      if (whole) await rows.take(commit);
    },
  });
  reader.end();
  yield* checkCovered(account, log.heads, streams);
  if (log.whole) {
    yield* reader.findings;
    yield* rows.compare(log.heads, count, seen);
  } else {
    yield info('row', account, 'the read models were not compared with the log, for not all of the log can be read');
  }

  const { facts } = reader;
  const keys = yield* vaultKeysOf(platform, account, count);
  if (keys) {
    const mayBeNamed = new Set([...facts.unfinished.values()].flatMap((run) => [...run.packs]));
    const vault = { account, keys, blobs: platform.blobs, records: platform.records };
    const kept = [...facts.zips].flatMap(([id, { size, until }]): [string, number][] =>
      size !== null && Date.parse(until) > platform.now() ? [[exportKey(account, id), size]] : [],
    );
    yield* checkVault(vault, { ...facts, mayBeNamed, exports: new Map(kept) }, { readData, count });
  }
  yield* checkWork(platform, account, facts, { count, keys, quiet, ...(isAwaited && { isAwaited }) });
  if (deployment && keys) yield* compareSources(deployment, account, facts, readData, count);
}

/** Each line whose source is still there, once. */
async function* compareSources(
  deployment: Deployment,
  account: string,
  facts: LogFacts,
  readData: boolean,
  count: Count,
): AsyncGenerator<Finding> {
  for (const { jobId, sourceId } of facts.backupChains.values()) {
    if (!facts.sources.has(sourceId) || facts.goneJobs.has(jobId)) continue;
    try {
      yield* compareWithSource(deployment, { account, jobId, sourceId }, { readData, count });
    } catch {
      yield failure('source', sourceId, 'it could not be compared with its backup: either of them cannot be read');
    }
  }
}

/** Undefined when there is nothing to open any more, and when it cannot be opened: then that is a finding. */
async function* vaultKeysOf(
  platform: Platform,
  account: string,
  count: Count,
): AsyncGenerator<Finding, VaultKeys | undefined> {
  count('key');
  try {
    const key = await platform.keys.accountKey(account);
    if (key) return deriveVaultKeys(key);
    yield info('key', account, 'it was erased: its backups cannot be read by anyone');
  } catch {
    yield failure('key', account, "the account's key cannot be had: nothing of its backups can be read, nor checked");
  }
  return undefined;
}

/** What we sign has to pass for ours. */
async function* checkSigning({ keys }: Platform): AsyncGenerator<Finding> {
  const words = Buffer.from('listbackup doctor');
  try {
    if (verify('sha256', words, await keys.publicKey(), await keys.sign(words))) return;
    yield failure('key-file', 'signing', 'what is signed does not pass the check with the public key');
  } catch {
    yield failure('key-file', 'signing', 'nothing can be signed');
  }
}

async function* checkDeadLetters({ queue }: Platform, count: Count): AsyncGenerator<Finding> {
  for (const name of ['job', 'data'] satisfies QueueName[]) {
    try {
      for (const body of await queue.deadLetters(name)) {
        const { type, runId, stream } = body;
        yield failure(
          'message',
          `${name} ${String(runId ?? stream)}`,
          `${String(type)} failed too often and was put aside: correct the cause, then redrive it`,
        );
      }
      count('message');
    } catch {
      yield failure('message', name, 'the messages that were put aside cannot be read');
    }
  }
}
