import { copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { openDatabase } from '../../../infra/embedded/database.ts';
import { openTestPlatform, recordingLog, testFolder } from '../../support/embedded.ts';

const registration = {
  email: 'Zoe.Quill@example.com',
  password: 'correct horse battery staple',
  name: 'Zoe Quill-Marlowe',
  userId: 'usr_1',
  accountId: 'acc_1',
};
const commit = {
  stream: 'acc_1/job/1',
  version: 1,
  at: '2026-01-01T00:00:00.000Z',
  prevHash: '0'.repeat(64),
  hash: 'f'.repeat(64),
  body: { bytes: Uint8Array.from([0xff, 0x00]) },
};

/** Returns the bytes of all files of the data folder. */
async function everythingIn(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return Buffer.concat(
    await Promise.all(
      entries.filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name))),
    ),
  );
}

describe('a data folder', () => {
  it('keeps all data when it is opened again', async () => {
    const data = await testFolder();
    const first = await openTestPlatform({ data });
    const { platform } = first;
    await platform.events.append(commit);
    await platform.rows.apply('jobs', commit.stream, 1, [
      { op: 'put', table: 'jobs', pk: 'acc_1', sk: '1', data: { n: 1 } },
    ]);
    await platform.records.write([{ op: 'put', pk: 'a', sk: 'b', data: { n: 2 } }]);
    await platform.blobs.put('k/1', Uint8Array.from([1, 2]));
    await platform.queue.send('job', [{ body: { n: 3 } }]);
    await platform.identity.register(registration);
    const before = [
      await platform.keys.accountKey('acc_1'),
      await platform.keys.publicKey(),
      await platform.secrets.get('jwt-secret'),
    ];
    await platform.keys.destroySubject('acc_1', 'gone');
    await first.close();

    const { platform: again } = await openTestPlatform({ data });
    expect(await again.events.load(commit.stream)).toEqual([commit]);
    expect((await again.rows.get({ table: 'jobs', pk: 'acc_1', sk: '1' }))?.data).toEqual({ n: 1 });
    expect(await again.rows.cursor('jobs', commit.stream)).toBe(1);
    expect((await again.records.get({ pk: 'a', sk: 'b' }))?.data).toEqual({ n: 2 });
    expect(await again.blobs.get('k/1')).toEqual(Uint8Array.from([1, 2]));
    expect((await again.queue.receive('job', { max: 10, visibilitySeconds: 1 })).map(({ body }) => body)).toEqual([
      { n: 3 },
    ]);
    expect((await again.identity.signIn(registration.email, registration.password)).outcome).toBe('signed-in');
    expect([
      await again.keys.accountKey('acc_1'),
      await again.keys.publicKey(),
      await again.secrets.get('jwt-secret'),
    ]).toEqual(before);
    expect(await again.keys.subjectKey('acc_1', 'gone')).toBeUndefined();
  });

  it('is readable by its owner only', async () => {
    const data = join(await testFolder(), 'made', 'here');
    await openTestPlatform({ data });
    expect((await stat(data)).mode & 0o777).toBe(0o700);
    for (const secret of ['keys.json', 'secrets.json'])
      expect((await stat(join(data, secret))).mode & 0o777).toBe(0o600);
  });

  it('holds no e-mail address, name or password in clear text', async () => {
    const data = await testFolder();
    const { platform } = await openTestPlatform({ data });
    await platform.identity.register(registration);
    const bytes = await everythingIn(data);
    expect(bytes.includes('usr_1')).toBe(true);
    for (const text of [
      registration.email,
      registration.email.toLowerCase(),
      'Zoe',
      'zoe.quill',
      'Marlowe',
      'correct horse',
    ]) {
      expect(bytes.includes(text), text).toBe(false);
    }
  });

  it('holds no destroyed key', async () => {
    const data = await testFolder();
    const { platform, close } = await openTestPlatform({ data });
    const subjects = Array.from({ length: 40 }, (_, i) => `usr_${i}`);
    for (const subject of subjects) await platform.keys.subjectKey('acc_1', subject);
    const wrapped = await wrappedKeys(data, close);
    expect(wrapped.length).toBe(41);
    let now = Date.now();
    const { platform: again } = await openTestPlatform({ data, now: () => now, graceDays: 3, strictKeys: true });
    await again.keys.destroySubject('acc_1', 'usr_7');
    await again.keys.destroyAccount('acc_1');
    const left = async () => {
      for (let cursor = await again.keys.sweep(); cursor !== null; ) cursor = await again.keys.sweep(cursor);
      const bytes = await everythingIn(data);
      const isLeft = (key: Uint8Array) =>
        bytes.includes(Buffer.from(key)) || bytes.includes(Buffer.from(key).toString('base64'));
      return wrapped.filter(({ key }) => isLeft(key)).map(({ subject }) => subject);
    };
    expect(await left()).toHaveLength(41);
    now += 3.1 * 24 * 60 * 60_000;
    expect(await left()).toHaveLength(39);
    expect(await left()).not.toContain('usr_7');
    expect(await left()).not.toContain('');
  });

  it.each(['keys.json', 'keys-copy.json'])('gets a lost %s back from the other file', async (lost) => {
    const data = await testFolder();
    const first = await openTestPlatform({ data });
    const key = await first.platform.keys.accountKey('acc_1');
    await first.close();
    const bytes = await readFile(join(data, 'keys.json'));
    await rm(join(data, lost));
    const again = await openTestPlatform({ data, strictKeys: true });
    expect(await again.platform.keys.accountKey('acc_1')).toEqual(key);
    expect(await readFile(join(data, lost))).toEqual(bytes);
  });

  it('does not open with two different key files', async () => {
    const [data, other] = [await testFolder(), await testFolder()];
    for (const folder of [data, other]) await (await openTestPlatform({ data: folder })).close();
    await copyFile(join(other, 'keys.json'), join(data, 'keys.json'));
    await expect(openTestPlatform({ data })).rejects.toThrow(/keys.json and keys-copy.json of the data folder differ/);
  });

  it('keeps the keys of its accounts with a new database, with an old one, and without the blobs', async () => {
    const data = await testFolder();
    const files = ['', '-wal', '-shm'].map((ending) => join(data, `listbackup.db${ending}`));
    const open = () => openTestPlatform({ data, strictKeys: true });
    let deployment = await open();
    await deployment.close();
    const old = await readFile(join(data, 'listbackup.db'));
    deployment = await open();
    await deployment.platform.keys.createAccount('acc_1');
    await deployment.platform.keys.createSubject('acc_1', 'usr_1');
    const keys = async () =>
      Promise.all([
        deployment.platform.keys.accountKey('acc_1'),
        deployment.platform.keys.subjectKey('acc_1', 'usr_1'),
      ]);
    const before = await keys();
    for (const damage of [
      () => Promise.all(files.map((file) => rm(file, { force: true }))),
      () => writeFile(join(data, 'listbackup.db'), old),
      () => rm(join(data, 'blobs'), { recursive: true }),
    ]) {
      await deployment.close();
      await damage();
      deployment = await open();
      expect(await keys()).toEqual(before);
      expect(await deployment.platform.keys.compare('acc_1')).toEqual([]);
    }
  });

  it('of an earlier version gets second copies of its keys, and the key of each account for its own data', async () => {
    const data = await testFolder();
    const first = await openTestPlatform({ data, strictKeys: true });
    await first.platform.keys.createAccount('acc_1');
    const key = await first.platform.keys.accountKey('acc_1');
    await first.close();
    const db = openDatabase(join(data, 'listbackup.db'));
    await db.write(() => db.sql('UPDATE keys SET revision = 0').run());
    await db.close();
    await rm(join(data, 'blobs'), { recursive: true });
    const { log, lines } = recordingLog();
    const { keys } = (await openTestPlatform({ data, strictKeys: true, log })).platform;
    expect(await keys.accountKey('acc_1')).toEqual(key);
    expect(await keys.subjectKey('acc_1', 'acc_1')).toHaveLength(32);
    expect(await keys.compare('acc_1')).toEqual([]);
    expect(lines.map(({ level, message }) => [level, message])).toEqual([
      ['info', 'a key of an earlier version got its second copy'],
    ]);
  });

  it('gets no new key file if its key file is lost', async () => {
    const data = await testFolder();
    const deployment = await openTestPlatform({ data });
    await deployment.platform.keys.accountKey('acc_1');
    await deployment.close();
    for (const file of ['keys.json', 'keys-copy.json']) await rm(join(data, file));
    await expect(openTestPlatform({ data })).rejects.toThrow(/lost its keys.json.*Restore it from a copy/);
    expect(await readdir(data)).not.toContain('keys.json');
  });

  it.each(['keys.json', 'secrets.json'])(
    'does not open with a damaged %s, and does not quote the file',
    async (file) => {
      const data = await testFolder();
      await (await openTestPlatform({ data })).close();
      await writeFile(join(data, file), '{"master": "hush-hush');
      const failure = await openTestPlatform({ data }).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(String(failure)).toContain(file);
      expect(String(failure)).not.toContain('hush');
    },
  );

  it('is unlocked once closed, also if opening it failed', async () => {
    const data = await testFolder();
    await (await openTestPlatform({ data })).close();
    await writeFile(join(data, 'secrets.json'), 'no JSON');
    await expect(openTestPlatform({ data })).rejects.toThrow('secrets.json');
    await rm(join(data, 'secrets.json'));
    await openTestPlatform({ data });
  });
});

describe('the self-hosted platform', () => {
  it('ends waits when it closes', async () => {
    const deployment = await openTestPlatform();
    const waiting = deployment.platform.queue.receive('job', { max: 1, visibilitySeconds: 1, waitSeconds: 3600 });
    await deployment.close();
    expect(await waiting).toEqual([]);
  });

  it('prefers secrets of the environment', async () => {
    const { platform } = await openTestPlatform({
      environment: { LISTBACKUP_SECRET_JWT_SECRET: 'given', LISTBACKUP_SECRET_OPENAI_API_KEY: '' },
    });
    expect(await platform.secrets.get('jwt-secret')).toBe('given');
    expect(await platform.secrets.get('openai-api-key')).toBeUndefined();
    expect(await platform.secrets.get('jwt-refresh-secret')).not.toBe('given');
  });

  it('reads a secret that was added to the file within minutes', async () => {
    const data = await testFolder();
    let now = Date.now();
    const { platform } = await openTestPlatform({ data, now: () => now });
    const path = join(data, 'secrets.json');
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), 'openai-api-key': 'sk' }));
    now += 10 * 60_000;
    expect(await platform.secrets.get('openai-api-key')).toBe('sk');
  });

  it('creates different signing secrets for each data folder', async () => {
    const [one, other] = [await openTestPlatform(), await openTestPlatform()];
    expect(await one.platform.secrets.get('jwt-secret')).not.toBe(await other.platform.secrets.get('jwt-secret'));
    expect(await one.platform.keys.publicKey()).not.toBe(await other.platform.keys.publicKey());
  });
});

describe('the queue', () => {
  it('wakes a waiting receiver when a message is sent, released or redriven', async () => {
    const { platform } = await openTestPlatform();
    const next = () => platform.queue.receive('job', { max: 1, visibilitySeconds: 3600, waitSeconds: 3600 });
    const sent = next();
    await platform.queue.send('job', [{ body: { n: 1 } }]);
    let [message] = await sent;
    for (let receives = 2; receives <= 5; receives++) {
      const again = next();
      await platform.queue.extend('job', message?.receipt ?? '', 0);
      [message] = await again;
      expect(message?.receives).toBe(receives);
    }
    const redriven = next();
    await platform.queue.extend('job', message?.receipt ?? '', 0);
    expect(await platform.queue.redrive('job')).toBe(1);
    expect((await redriven).map(({ body }) => body)).toEqual([{ n: 1 }]);
  });

  it('ignores ack and extend of a worker that lost the message to another', async () => {
    let now = Date.now();
    const { platform } = await openTestPlatform({ now: () => now });
    await platform.queue.send('job', [{ body: { n: 1 } }]);
    const [slow] = await platform.queue.receive('job', { max: 1, visibilitySeconds: 10 });
    now += 11_000;
    const [quick] = await platform.queue.receive('job', { max: 1, visibilitySeconds: 10 });
    await platform.queue.ack('job', slow?.receipt ?? '');
    await platform.queue.extend('job', slow?.receipt ?? '', 600);
    now += 11_000;
    const [third] = await platform.queue.receive('job', { max: 1, visibilitySeconds: 10 });
    expect([slow?.receives, quick?.receives, third?.receives]).toEqual([1, 2, 3]);
  });

  it('delivers messages without delay after the clock was set back, while it ran or was stopped', async () => {
    const data = await testFolder();
    const clock = vi.spyOn(Date, 'now');
    onTestFinished(() => clock.mockRestore());
    const first = await openTestPlatform({ data });
    await first.platform.queue.send('job', [{ body: { n: 1 } }, { body: { n: 2 }, delaySeconds: 900 }]);
    clock.mockReturnValue(Date.now() - 3_600_000);
    const [message] = await first.platform.queue.receive('job', { max: 10, visibilitySeconds: 10 });
    expect(message?.body).toEqual({ n: 1 });
    await first.platform.queue.ack('job', message?.receipt ?? '');
    await first.close();

    const second = await openTestPlatform({ data, now: Date.now });
    const received = await second.platform.queue.receive('job', { max: 10, visibilitySeconds: 10 });
    expect(received.map(({ body }) => body)).toEqual([{ n: 2 }]);
  });

  it('delivers messages repeatedly with chaos until they are acknowledged, and loses none', async () => {
    const { platform } = await openTestPlatform({ chaos: makeChaos(7) });
    await platform.queue.send(
      'job',
      Array.from({ length: 100 }, (_, n) => ({ body: { n } })),
    );
    const delivered: number[] = [];
    let receipts: string[] = [];
    for (;;) {
      const received = await platform.queue.receive('job', { max: 10, visibilitySeconds: 600 });
      if (received.length === 0) break;
      delivered.push(...received.map(({ body }) => Number(body.n)));
      receipts = received.map(({ receipt }) => receipt);
    }
    for (const receipt of receipts) await platform.queue.ack('job', receipt);
    expect(new Set(delivered).size).toBe(100);
    expect(delivered.length).toBeGreaterThan(100);
    expect([...new Set(delivered)]).not.toEqual([...new Set(delivered)].toSorted((a, b) => a - b));
  });
});

/** Closes the platform and reads the wrapped keys from its database. */
async function wrappedKeys(data: string, close: () => Promise<void>): Promise<{ subject: string; key: Uint8Array }[]> {
  await close();
  const db = openDatabase(join(data, 'listbackup.db'));
  const rows = db.sql('SELECT subject, wrapped FROM keys').all();
  await db.close();
  return rows.flatMap(({ subject, wrapped }) =>
    wrapped instanceof Uint8Array ? [{ subject: String(subject), key: wrapped }] : [],
  );
}
