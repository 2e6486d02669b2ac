/** The live socket, through the public API only. The suite runs on `npm start` and on the deployed CDK app. */
import { beforeAll, describe, expect, it } from 'vitest';
import { client, newPerson, type Person, type Run, runJob, until } from './client.ts';
import { type LiveMessage, liveUrl, openAt, openLive } from './live-socket.ts';
import type { Target } from './target.ts';

const numbers = [
  'filesTotal',
  'filesDone',
  'filesUnchanged',
  'filesFailed',
  'filesSkipped',
  'bytesRead',
  'bytesStored',
  'percent',
];

/** The ledger once it holds `count` events of that type: the user's last action. */
async function settled(person: Person, type: string, count: number) {
  return until(`${count} ${type} in the ledger`, async () => {
    const items = await person.api.all('/activity');
    return items.filter((item) => item.type === type).length === count ? items : undefined;
  });
}

/** Expects counts that never decrease, and no message of a run after its end. */
function expectNoProgressBack(messages: LiveMessage[]): void {
  const runs = Map.groupBy(
    messages.filter(({ type }) => type.startsWith('run.')),
    ({ data }) => data.id,
  );
  for (const ofRun of runs.values()) {
    const ends = ofRun.map(({ type }) => type === 'run.finished');
    expect(ends.indexOf(true)).toBe(ends.includes(true) ? ends.length - 1 : -1);
    for (const number of numbers) {
      const counts = ofRun.map(({ data }) => (data as Run).progress[number] ?? 0);
      expect(counts, number).toEqual(counts.toSorted((a, b) => a - b));
    }
  }
}

export function liveSuite(name: string, open: () => Target): void {
  describe(name, () => {
    let target: Target;
    let ada: Person;
    let jobId: string;
    beforeAll(async () => {
      target = open();
      ada = await newPerson(target.url);
      const { config, credentials, put } = await target.bucket();
      for (let i = 0; i < 20; i++) await put(`folder/${i}`, `content ${i}`);
      const source = await ada.api.expect(201, 'POST', '/sources', {
        body: { type: 's3', name: 'Bucket', config, credentials },
      });
      jobId = (await ada.api.expect(201, 'POST', '/jobs', { body: { name: 'Nightly', sourceId: source.id } }))
        .id as string;
      await settled(ada, 'job.created.v1', 1);
    });

    it('reports the progress of a run, never going back, and ends with 100 % and the right counts', async () => {
      const socket = await openLive(ada.api);
      const run = await runJob(ada.api, jobId);
      const finished = await socket.seen('the run finished', ({ type }) => type === 'run.finished');
      expect(finished.data).toEqual(await ada.api.expect(200, 'GET', `/runs/${run.id}`));
      expect(finished.data).toMatchObject({
        status: 'succeeded',
        progress: { percent: 100, filesTotal: 20, filesDone: 20 },
      });
      const runMessages = socket.messages.filter(({ type, data }) => type.startsWith('run.') && data.id === run.id);
      expect(runMessages.map(({ type }) => type)).toEqual([
        ...runMessages.slice(1).map(() => 'run.progress'),
        'run.finished',
      ]);
      expectNoProgressBack(runMessages);
      await socket.close();
    });

    it('sends every event once, in the order of the ledger', async () => {
      const all = await settled(ada, 'restore-point.created.v1', 1);
      const socket = await openLive(ada.api, { since: 0 });
      await socket.seen('the last of it', ({ data }) => data.id === all.at(-1)?.id);
      await socket.close();
      const activity = socket.messages.filter(({ type }) => type === 'activity');
      expect(activity.map(({ data }) => data)).toEqual(all);
      expect(activity.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq));
      const seqs = socket.messages.map(({ seq }) => seq);
      expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
    });

    it('resumes after a drop at any position, without a gap or a repeat', async () => {
      const whole = await openLive(ada.api);
      const running = runJob(ada.api, jobId);
      await whole.seen('the beginning', ({ type }) => type === 'activity');
      // Each socket resumes at the last message of the one before
      const pieces: LiveMessage[] = [];
      const isEnd = ({ type, data }: LiveMessage) =>
        type === 'run.finished' && (data as Run).progress.filesUnchanged === 20;
      for (
        let since = Math.floor(whole.messages[0]?.seq ?? 0) - 1, after = 1;
        !pieces.some(isEnd);
        after = (after % 3) + 1
      ) {
        const socket = await openLive(ada.api, { since, after });
        await until('a message', async () =>
          socket.messages.length === after || socket.messages.some(isEnd) ? true : undefined,
        );
        await socket.close();
        pieces.push(...socket.messages);
        since = pieces.at(-1)?.seq ?? since;
      }
      await running;
      await whole.seen('the end', isEnd);
      const [first] = whole.messages;
      // A resumed socket tells the progress as of its time, and may skip it. Events may follow the end.
      const lasting = (messages: LiveMessage[]) => messages.filter(({ type }) => type !== 'run.progress');
      const alike = lasting(pieces.slice(pieces.findIndex(({ seq }) => seq === first?.seq)));
      await until('as many messages', async () => (lasting(whole.messages).length >= alike.length ? true : undefined));
      expect(alike).toEqual(lasting(whole.messages).slice(0, alike.length));
      const seqs = pieces.map(({ seq }) => seq);
      expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
      expectNoProgressBack(pieces);
      await whole.close();
    });

    it('opens one socket per ticket, and none without a ticket', async () => {
      const url = await liveUrl(ada.api);
      const socket = await openAt(url);
      await expect(openAt(url)).rejects.toThrow('refused');
      await socket.close();
      await expect(openAt(url.replace(/ticket=.*/, 'ticket=nonsense'))).rejects.toThrow('refused');
      await expect(openAt(url.replace(/\?.*/, ''))).rejects.toThrow('refused');
      await expect(openAt(`${await liveUrl(ada.api)}&since=yesterday`)).rejects.toThrow('refused');
      await client(target.url).expect(401, 'POST', '/live/ticket');
    });

    it('issues a new ticket each time, valid for a minute', async () => {
      const headers = { 'idempotency-key': 'the same' };
      const before = Date.now();
      const one = await ada.api.expect(201, 'POST', '/live/ticket', { headers });
      const after = Date.now();
      const two = await ada.api.expect(201, 'POST', '/live/ticket', { headers });
      expect(one.url).not.toBe(two.url);
      const expires = Date.parse(one.expiresAt as string);
      expect(expires).toBeGreaterThan(before);
      expect(expires).toBeLessThanOrEqual(after + 61_000);
    });

    it('sends no events of other accounts', async () => {
      const eve = await newPerson(target.url);
      const socket = await openLive(eve.api, { since: 0 });
      await runJob(ada.api, jobId);
      const { email, password } = eve;
      await client(target.url).expect(200, 'POST', '/auth/login', { body: { email, password } });
      await until('her second session', async () =>
        socket.messages.filter(({ data }) => data.type === 'session.opened.v1').length === 2 ? true : undefined,
      );
      expect(socket.messages.every(({ data }) => String(data.stream).startsWith(`${eve.account}/`))).toBe(true);
      await socket.close();
    });

    it('closes when its session ends', async () => {
      const bob = await newPerson(target.url);
      const socket = await openLive(bob.api);
      const url = await liveUrl(bob.api);
      await client(target.url).expect(204, 'POST', '/auth/logout', { body: { refreshToken: bob.refreshToken } });
      await socket.closed;
      await expect(openAt(url)).rejects.toThrow('refused');
    });
  });
}
