/** The relay enters each commit once in the ledger and publishes it at least once, despite races and outages. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { streamName } from '../../../domain/event.ts';
import type { Bus, BusEvent, EventStore, LedgerEntry, StoredCommit } from '../../../domain/ports.ts';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import type { AwsEnvironment } from '../../../infra/aws/environment.ts';
import { awsEventStore } from '../../../infra/aws/event-store.ts';
import { awsRelay, type Relay } from '../../../infra/aws/relay.ts';
import { fresh, upTo } from '../../contract/fresh.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';

let clients: AwsClients;
let env: AwsEnvironment;
let events: EventStore;
beforeAll(async () => {
  clients = ministackClients();
  env = await makeStage(clients);
  events = awsEventStore(clients.documents, env.TABLE_PREFIX);
});
afterAll(() => clients.close());

/** A bus that collects events and can be made to fail. */
function fakeBus() {
  const busEvents: BusEvent[] = [];
  const state = { down: false };
  const bus: Bus = {
    async publish(published) {
      if (state.down) throw new Error('the bus is down');
      busEvents.push(...published);
    },
  };
  return { bus, busEvents, state };
}

function makeRelay({ bus }: { bus: Bus } = fakeBus(), store = events): Relay {
  return awsRelay(clients.documents, env.TABLE_PREFIX, store, bus);
}

const toEvents = (commit: StoredCommit): BusEvent[] =>
  upTo(2).map((index) => ({
    id: `${commit.stream}:${commit.version}:${index}`,
    type: 'contract.tested.v1',
    account: commit.stream.split('/')[0] ?? '',
    stream: commit.stream,
    version: commit.version,
    index,
    at: commit.at,
  }));

async function fill(stream: string, versions: number[]): Promise<StoredCommit[]> {
  const commits = versions.map((version): StoredCommit => {
    const hash = createHash('sha256').update(`${stream} ${version}`).digest('hex');
    const at = new Date(Date.UTC(2026, 0, 1) + version * 1000).toISOString();
    return { stream, version, at, prevHash: '0'.repeat(64), hash, body: { bytes: new Uint8Array([version % 256]) } };
  });
  for (const commit of commits) expect(await events.append(commit)).toBe('appended');
  return commits;
}

async function streamsOf(account: string, streams: number, versions: number): Promise<StoredCommit[]> {
  const filled = upTo(streams).map((n) => fill(streamName(account, 'job', `job_${n}`), upTo(versions)));
  return (await Promise.all(filled)).flat();
}

const ledgerOf = (account: string) => events.ledger(account, { order: 'asc', limit: 10_000 });

/** Expects a ledger that is gapless from 1, with each commit once and each stream in order. */
function expectComplete(ledger: LedgerEntry[], commits: StoredCommit[]): void {
  expect(ledger.map((entry) => entry.seq)).toEqual(upTo(commits.length));
  const versions = new Map<string, number>();
  for (const entry of ledger) {
    expect(entry.version, entry.stream).toBe((versions.get(entry.stream) ?? 0) + 1);
    versions.set(entry.stream, entry.version);
  }
  expect(new Set(ledger.map((entry) => entry.hash))).toEqual(new Set(commits.map((commit) => commit.hash)));
}

function shuffled<T>(all: T[]): T[] {
  return all
    .map((element) => ({ element, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ element }) => element);
}

describe('sequence', () => {
  it('accepts shuffled and repeated notifications in any batches', async () => {
    const account = fresh('acc');
    const commits = await streamsOf(account, 6, 9);
    const notifications = shuffled([...commits, ...commits, ...commits.slice(0, 20)]);
    const relay = makeRelay();
    for (let i = 0; i < notifications.length; i += 7) {
      for (const result of await relay.sequence(notifications.slice(i, i + 7))) expect(result.error).toBeUndefined();
    }
    expectComplete(await ledgerOf(account), commits);
  });

  it('sequences each commit once when several relays race', async () => {
    const account = fresh('acc');
    const commits = await streamsOf(account, 12, 10);
    const relays = upTo(5).map(() => makeRelay());
    const results = await Promise.all(
      relays.flatMap((relay) => {
        const notifications = shuffled(commits);
        return [notifications.slice(0, 40), notifications.slice(40, 90), notifications.slice(90)].map((batch) =>
          relay.sequence(batch),
        );
      }),
    );
    for (const result of results.flat()) expect(result.error).toBeUndefined();
    expectComplete(await ledgerOf(account), commits);
    const sequenced = results.flat().flatMap((result) => result.commits);
    expect(sequenced).toHaveLength(commits.length);
    expect(new Set(sequenced.map((commit) => commit.hash)).size).toBe(commits.length);
  });

  it('fills the gap before a notification, also beyond one transaction', async () => {
    const account = fresh('acc');
    const stream = streamName(account, 'job', 'job_long');
    const commits = await fill(stream, upTo(250));
    const others = await streamsOf(account, 120, 1);
    const [, ...rest] = others;
    const [result] = await makeRelay().sequence([{ stream, version: 250 }, ...rest]);
    expect(result?.error).toBeUndefined();
    expect(result?.commits).toHaveLength(250 + 119);
    const ledger = await ledgerOf(account);
    expectComplete(ledger, [...commits, ...rest]);
  });

  it('keeps the accounts of one batch separate', async () => {
    const accounts = upTo(10).map(() => fresh('acc'));
    const all = await Promise.all(accounts.map((account) => streamsOf(account, 2, 3)));
    await makeRelay().sequence(shuffled(all.flat()));
    for (const [i, account] of accounts.entries()) expectComplete(await ledgerOf(account), all[i] ?? []);
  });

  it('does nothing for a notification without a commit', async () => {
    const account = fresh('acc');
    const [result] = await makeRelay().sequence([{ stream: streamName(account, 'job', 'job_1'), version: 3 }]);
    expect(result).toEqual({ account, commits: [] });
    expect(await ledgerOf(account)).toEqual([]);
  });

  it('reports the account that failed, sequences the others and continues it later', async () => {
    const [bad, good] = [fresh('acc'), fresh('acc')];
    const [badCommits, goodCommits] = await Promise.all([streamsOf(bad, 2, 2), streamsOf(good, 2, 2)]);
    const failing: EventStore = {
      ...events,
      load: (stream, options) =>
        stream.startsWith(bad) ? Promise.reject(new Error('no answer')) : events.load(stream, options),
    };
    const results = await makeRelay(fakeBus(), failing).sequence([...badCommits, ...goodCommits]);
    expect(results.find((result) => result.account === bad)?.error).toMatchObject({ message: 'no answer' });
    expect(results.find((result) => result.account === good)?.error).toBeUndefined();
    expectComplete(await ledgerOf(good), goodCommits);
    await makeRelay().sequence(badCommits);
    expectComplete(await ledgerOf(bad), badCommits);
  });

  it('reads no commit again after a concurrent relay was first', async () => {
    const account = fresh('acc');
    const [commits, others] = await Promise.all([
      streamsOf(account, 3, 4),
      fill(streamName(account, 'source', 'src_1'), [1]),
    ]);
    const loaded: string[] = [];
    const late: EventStore = {
      ...events,
      async load(stream, options) {
        loaded.push(stream);
        const found = await events.load(stream, options);
        if (loaded.length === 3) await makeRelay().sequence([...others, ...commits.slice(0, 4)]);
        return found;
      },
    };
    const [result] = await makeRelay(fakeBus(), late).sequence(commits);
    expect(result?.commits).toHaveLength(2 * 4);
    expect(loaded).toHaveLength(3);
    expectComplete(await ledgerOf(account), [...commits, ...others]);
  });

  it('stops at a gap in a stream instead of skipping it', async () => {
    const account = fresh('acc');
    const stream = streamName(account, 'job', 'job_1');
    await fill(stream, [1, 3]);
    const [result] = await makeRelay().sequence([{ stream, version: 3 }]);
    expect(result?.error).toMatchObject({ message: expect.stringContaining('lacks version 2') });
    expect(await ledgerOf(account)).toEqual([]);
  });
});

describe('publish', () => {
  const idsOf = (commits: StoredCommit[]) => new Set(commits.flatMap(toEvents).map((event) => event.id));

  it('publishes each event of the ledger in order, and once without faults', async () => {
    const account = fresh('acc');
    const commits = await streamsOf(account, 3, 50);
    const bus = fakeBus();
    const relay = makeRelay(bus);
    const [result] = await relay.sequence(commits);
    expect(await relay.publish(account, toEvents, result?.commits)).toBe(150);
    expect(bus.busEvents).toHaveLength(300);
    const byId = new Map(commits.map((commit) => [`${commit.stream} ${commit.version}`, commit]));
    const expected = (await ledgerOf(account)).flatMap((entry) =>
      toEvents(byId.get(`${entry.stream} ${entry.version}`) as StoredCommit),
    );
    expect(bus.busEvents).toEqual(expected);
    expect(await relay.publish(account, toEvents)).toBe(0);
  });

  it('reads the ledger once for one batch', async () => {
    const account = fresh('acc');
    let reads = 0;
    const watched: EventStore = {
      ...events,
      ledger: (...query) => {
        reads++;
        return events.ledger(...query);
      },
    };
    const relay = makeRelay(fakeBus(), watched);
    const [result] = await relay.sequence(await streamsOf(account, 2, 3));
    expect(await relay.publish(account, toEvents, result?.commits)).toBe(6);
    expect(reads).toBe(1);
  });

  it('loses nothing during an outage of the bus, and the ledger grows meanwhile', async () => {
    const account = fresh('acc');
    const bus = fakeBus();
    const relay = makeRelay(bus);
    const first = await streamsOf(account, 2, 2);
    bus.state.down = true;
    const [result] = await relay.sequence(first);
    await expect(relay.publish(account, toEvents, result?.commits)).rejects.toThrow('the bus is down');
    const second = await fill(streamName(account, 'job', 'job_1'), [3, 4]);
    await relay.sequence(second);
    expectComplete(await ledgerOf(account), [...first, ...second]);
    bus.state.down = false;
    // Another process, which holds no commits in memory.
    const other = makeRelay(bus);
    await other.publish(account, toEvents);
    expect(new Set(bus.busEvents.map((event) => event.id))).toEqual(idsOf([...first, ...second]));
  });

  it('publishes the entries of a relay that died after sequencing', async () => {
    const account = fresh('acc');
    const bus = fakeBus();
    const commits = await streamsOf(account, 2, 3);
    await makeRelay(bus).sequence(commits);
    const relay = makeRelay(bus);
    await relay.sequence(commits.slice(0, 1));
    await relay.publish(account, toEvents);
    expect(new Set(bus.busEvents.map((event) => event.id))).toEqual(idsOf(commits));
  });

  it('publishes every event when relays race, and its checkpoint does not move back', async () => {
    const account = fresh('acc');
    const bus = fakeBus();
    const commits = await streamsOf(account, 4, 60);
    await makeRelay(bus).sequence(commits);
    await Promise.all(upTo(4).map(() => makeRelay(bus).publish(account, toEvents)));
    expect(new Set(bus.busEvents.map((event) => event.id))).toEqual(idsOf(commits));
    expect(await makeRelay(bus).publish(account, toEvents)).toBe(0);
  });
});
