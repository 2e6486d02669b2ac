/**
 * The doctor: compares event store, ledger, read models, manifests, packs, working state and, on request, sources with
 * one another. It reads through the ports alone and changes nothing. It runs in both deployments, at the end of every
 * fault test, and for operators (`listbackup doctor`).
 */
import { verify } from 'node:crypto';
import { exportKey } from '../domain/download.ts';
import { allOf } from '../domain/pages.ts';
import type { Platform, QueueName } from '../domain/ports.ts';
import type { RunRef } from '../processors/backup/run.ts';
import type { Deployment } from '../processors/deployment.ts';
import { projections } from '../projections/index.ts';
import { deriveVaultKeys, type VaultKeys } from '../vault/keys.ts';
import { registeredPacks } from '../vault/pack-registry.ts';
import { checkCovered, checkLog } from './check-log.ts';
import { type ComparedRows, checkRows, checkStrayRows, comparedRows } from './check-rows.ts';
import { checkVault } from './check-vault.ts';
import { checkWork } from './check-work.ts';
import { compareWithSource } from './compare-with-source.ts';
import { type Count, type Finding, failure, info } from './finding.ts';
import { type LogFacts, readFacts } from './log-facts.ts';

export type DoctorOptions = {
  /** Default: all accounts. */
  account?: string;
  /** Reads and decrypts all content. Default: only footers, roots, segments and sizes. */
  readData?: boolean;
  /** Nothing should be under way: unfinished work is a failure. */
  quiet?: boolean;
  /** Whether a message or event that continues the run is on its way, where the deployment knows. */
  isAwaited?: (runRef: RunRef) => boolean;
  /** Compares the newest backups with their sources too. Only meaningful while the sources do not change. */
  deployment?: Deployment;
  count?: Count;
};

/** Yields findings as it makes them. Throws when the platform fails, not when stored data is damaged. */
export async function* checkEverything(platform: Platform, options: DoctorOptions = {}): AsyncGenerator<Finding> {
  const { count = () => {} } = options;
  yield* checkSigning(platform);
  yield* checkDeadLetters(platform, count);
  const accounts = await readHeads(platform);
  const compared = comparedRows();
  for (const [account, heads] of accounts) {
    if (options.account === undefined || account === options.account)
      yield* checkAccount(platform, account, heads, compared, options);
  }
  if (options.account === undefined) yield* checkStrayRows(platform, projections, accounts, compared);
}

/** The last version of each stream, by account and stream. */
async function readHeads({ events }: Platform): Promise<Map<string, Map<string, number>>> {
  const accounts = new Map<string, Map<string, number>>();
  for await (const { stream, version } of allOf((page) => events.streams(page))) {
    const account = stream.split('/', 1)[0] ?? '';
    const heads = accounts.get(account) ?? new Map();
    accounts.set(account, heads.set(stream, Math.max(version, heads.get(stream) ?? 0)));
  }
  return accounts;
}

async function* checkAccount(
  platform: Platform,
  account: string,
  heads: Map<string, number>,
  compared: ComparedRows,
  options: DoctorOptions,
): AsyncGenerator<Finding> {
  const { count = () => {}, readData = false, quiet = false, isAwaited, deployment } = options;
  // First, because reading a key repairs its copies.
  yield* checkKeyCopies(platform, account);
  const reader = readFacts(account);
  const rows = await checkRows(platform, projections, account, quiet);

  const log = yield* checkLog(platform, account, {
    count,
    async visit(commit, events, intact) {
      reader.take(events);
      if (intact) await rows.take(commit);
    },
  });
  reader.end();
  yield* checkCovered(account, log.heads, heads);
  if (log.intact) {
    yield* reader.findings;
    yield* rows.compare(log.heads, count, compared);
  } else {
    yield info('row', account, 'the read models were not compared, because the log cannot be read in full');
  }

  const { facts } = reader;
  const keys = yield* readVaultKeys(platform, account, count);
  if (keys) yield* checkAccountVault(platform, account, keys, facts, { readData, count });
  yield* checkWork(platform, account, facts, { count, keys, quiet, ...(isAwaited && { isAwaited }) });
  if (deployment && keys) yield* compareSources(deployment, account, facts, readData, count);
}

async function* checkAccountVault(
  platform: Platform,
  account: string,
  keys: VaultKeys,
  facts: LogFacts,
  checks: { readData: boolean; count: Count },
): AsyncGenerator<Finding> {
  const mayBeNamed = new Set<string>();
  if (facts.unfinished.size > 0)
    for await (const { pack, run } of registeredPacks({ account, records: platform.records, blobs: platform.blobs }))
      if (facts.unfinished.has(run)) mayBeNamed.add(pack);
  const exports = [...facts.zips].flatMap(([id, { size, until }]): [string, number][] =>
    size !== null && Date.parse(until) > platform.now() ? [[exportKey(account, id), size]] : [],
  );
  const { blobs, records, chunks } = platform;
  const vault = { account, keys, blobs, records, chunks };
  yield* checkVault(vault, { ...facts, mayBeNamed, exports: new Map(exports) }, checks);
}

/** Compares every backup chain whose job and source still exist. */
async function* compareSources(
  deployment: Deployment,
  account: string,
  facts: LogFacts,
  readData: boolean,
  count: Count,
): AsyncGenerator<Finding> {
  for (const { jobId, sourceId } of facts.backupChains.values()) {
    if (!facts.sources.has(sourceId) || facts.deletedJobs.has(jobId)) continue;
    try {
      yield* compareWithSource(deployment, { account, jobId, sourceId }, { readData, count });
    } catch {
      yield failure('source', sourceId, 'the source was not compared, because it or its backup cannot be read');
    }
  }
}

/** Returns undefined when the account was erased, or when its key cannot be read. Both are findings. */
async function* readVaultKeys(
  platform: Platform,
  account: string,
  count: Count,
): AsyncGenerator<Finding, VaultKeys | undefined> {
  count('key');
  try {
    const key = await platform.keys.accountKey(account);
    if (key) return deriveVaultKeys(key);
    yield info('key', account, 'the account was erased, so its backups cannot be decrypted');
  } catch {
    yield failure('key', account, 'the account key cannot be read, so its backups cannot be decrypted or checked');
  }
  return undefined;
}

const harmless = new Set(['missing in the table', 'missing in the blobs', 'older copy']);

/** Compares the two copies of every key. The key ring repairs a copy that is missing or older. */
async function* checkKeyCopies({ keys }: Platform, account: string): AsyncGenerator<Finding> {
  try {
    for (const { subject, fault } of await keys.compare(account)) {
      const where = subject ?? account;
      if (harmless.has(fault))
        yield info('key', where, `a copy is wrong (${fault}); the next read or sweep repairs it`);
      else yield failure('key', where, `the copies disagree (${fault}), see docs/runbook.md`);
    }
  } catch {
    yield failure('key', account, 'the copies of the keys cannot be compared');
  }
}

/** A signature made with the private key must verify with the public key. */
async function* checkSigning({ keys }: Platform): AsyncGenerator<Finding> {
  const text = Buffer.from('listbackup doctor');
  try {
    if (verify('sha256', text, await keys.publicKey(), await keys.sign(text))) return;
    yield failure('key-file', 'signing', 'signatures do not verify with the public key');
  } catch {
    yield failure('key-file', 'signing', 'the signing key does not work');
  }
}

async function* checkDeadLetters({ queue }: Platform, count: Count): AsyncGenerator<Finding> {
  for (const name of ['job', 'data'] satisfies QueueName[]) {
    try {
      const bodies = await queue.deadLetters(name);
      count('message', bodies.length);
      for (const { type, group, stream } of bodies)
        yield failure('message', `${name} ${String(group ?? stream)}`, `message ${String(type)} failed too often`);
    } catch {
      yield failure('message', name, 'the dead letters of this queue cannot be read');
    }
  }
}
