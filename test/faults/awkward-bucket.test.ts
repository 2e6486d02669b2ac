/** Backs up buckets with keys that no file system allows, and buckets that disappear or refuse requests. */
import { createHash } from 'node:crypto';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { zipName, zipNameBeside } from '../../processors/export/zip-names.ts';
import { free } from '../../processors/meter.ts';
import { type Body, type Client, newPerson, runJob } from '../acceptance/client.ts';
import { expectClean, findingsOf } from '../support/check.ts';
import { silent, testFolder } from '../support/embedded.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';
import { zipOf } from '../support/unzip.ts';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

/** Key → content. An empty object whose key ends in a slash is a folder. */
const objects: { [key: string]: string } = {
  plain: 'plain',
  'a//b': 'an empty name between',
  'a///c': 'two of them',
  'a/b': 'beside them',
  '/x': 'leading slash',
  '//': 'nothing but slashes',
  '../x': 'up',
  '../../etc/passwd': 'further up',
  './y': 'here',
  '.': 'a dot',
  '..': 'two dots',
  'dots/..': 'two dots below',
  both: 'a file that is a folder too',
  'both/below': 'below it',
  'empty folder/': '',
  'full folder/': 'content where none would be',
  'full folder/below': 'below it',
  'new\nline': 'backup-chain',
  'tab\tand \u0001': 'control',
  '\u{1f469}\u200d\u{1f680}': 'emoji',
  'e\u0301': 'NFD',
  '\u00e9': 'NFC',
  'back\\slash': 'backslash',
  'C:\\x': 'drive',
  '%2E%2E/x': 'checks escaped',
  '+ &?#=%20': 'delimiters',
  ' ': 'space',
  empty: '',
  [`long/${'字'.repeat(339)}zz`]: '1,024 bytes',
};

async function startServerWithBucket(server: S3Server) {
  const data = await testFolder();
  const settings = readSettings([], {
    PORT: '0',
    LISTBACKUP_DATA: data,
    LISTBACKUP_RATE_LIMIT: '0',
    LISTBACKUP_ALLOW_HOSTS: server.host,
  });
  const deployment = await startServer(settings, silent);
  onTestFinished(() => deployment.close());
  const { api } = await newPerson(deployment.url);
  const { bucket, endpoint, credentials } = server;
  const source = await api.expect(201, 'POST', '/sources', {
    body: { type: 's3', name: 'Bucket', config: { bucket, endpoint }, credentials },
  });
  const job = await api.expect(201, 'POST', '/jobs', { body: { name: 'Bucket', sourceId: source.id } });
  const { platform } = deployment.embedded;
  const compared = { deployment: { platform, prices: free, connectors: () => ({ allowHosts: [server.host] }) } };
  return {
    ...{ api, sourceId: String(source.id), jobId: String(job.id) },
    check: () => expectClean(platform, compared),
    differences: async () => (await findingsOf(platform, compared)).filter(({ what }) => what === 'source'),
  };
}

async function serverOf(what: { [key: string]: string }): Promise<S3Server> {
  const server = await startS3Server();
  onTestFinished(() => server.close());
  for (const [key, body] of Object.entries(what)) server.put(key, body);
  return server;
}

async function contentOf(api: Client, fileId: unknown): Promise<string> {
  const { url } = await api.expect(200, 'POST', '/data/download', { body: { fileId } });
  return (await fetch(String(url))).text();
}

describe('awkward keys of a bucket', () => {
  it('are restored unchanged, one by one, folder by folder and as a zip', async () => {
    const server = await serverOf(objects);
    for (const key of Object.keys(objects)) expect(Buffer.byteLength(key)).toBeLessThanOrEqual(1_024);
    const { api, sourceId, jobId, check } = await startServerWithBucket(server);
    const ended = await runJob(api, jobId);
    expect(ended).toMatchObject({ status: 'succeeded', errors: [] });

    const isFolder = (key: string) => key.endsWith('/') && objects[key] === '';
    const keys = Object.keys(objects);
    const files = keys.filter((key) => !isFolder(key));
    const listed = await api.all(`/data/files?sourceId=${sourceId}&recursive=true`);
    const shown = (key: string) => (/(^|\/)\/$/.test(key) ? key : key.replace(/\/$/, ''));
    expect(listed.map(({ path, kind, sha256 }) => [path, kind, sha256]).sort()).toEqual(
      keys
        .map((key) => [
          shown(key),
          isFolder(key) ? 'folder' : 'file',
          isFolder(key) ? null : sha256(objects[key] ?? ''),
        ])
        .sort(),
    );
    for (const { id, kind, sha256: hash, path } of listed) {
      if (kind === 'file') expect(sha256(await contentOf(api, id)), String(path)).toBe(hash);
      expect((await api.all(`/data/files/${id}/versions`)).length).toBe(1);
    }

    const unzipped = await zipOf(api, sourceId, ['']);
    const isFolderToo = (key: string) => key.endsWith('/') || keys.some((other) => other.startsWith(`${key}/`));
    const named = (key: string) => (isFolderToo(key) ? zipNameBeside(key) : zipName(key));
    expect(new Map(unzipped.map(({ name, content }) => [name, content.toString()]))).toEqual(
      new Map(keys.map((key) => [isFolder(key) ? key : named(key), objects[key] ?? ''])),
    );
    expect(unzipped.length).toBe(keys.length);
    expect(ended.progress.filesDone).toBe(files.length);

    const browsed = new Set((await browse(api, sourceId)).map(({ id }) => id));
    expect(browsed).toEqual(new Set(listed.filter(({ kind }) => kind === 'file').map(({ id }) => id)));
    await check();
  });
});

describe('a bucket that the doctor compares with its backup', () => {
  it('differs in exactly the keys that changed, of any form', async () => {
    const server = await serverOf(objects);
    const { api, sourceId, jobId, differences } = await startServerWithBucket(server);
    await runJob(api, jobId);
    expect(await differences()).toEqual([]);
    const ids = new Map<string, unknown>();
    for (const { path, id, kind } of await api.all(`/data/files?sourceId=${sourceId}&recursive=true`))
      if (kind === 'file') ids.set(String(path), id);
    const changed = ['a//b', '//', 'both', '\u00e9', '..'];
    const deleted = ['a/b', '/x', 'both/below', '\u{1f469}\u200d\u{1f680}'];
    for (const key of changed) server.put(key, `${objects[key]}, later`);
    for (const key of deleted) server.objects.delete(key);
    const added = ['a//', 'a/!', 'both0', '\uffee'];
    for (const key of added) server.put(key, 'new');
    const found = await differences();
    const of = (text: string) => found.filter(({ detail }) => detail.includes(text)).map(({ where }) => where);
    const where = (key: string) => `${sourceId} ${ids.get(key)}`;
    expect(of('bytes at the source').sort()).toEqual(changed.map(where).sort());
    expect(of('but not at the source').sort()).toEqual(deleted.map(where).sort());
    expect(of('but not in the backup')).toHaveLength(added.length);
    expect(found).toHaveLength(changed.length + deleted.length + added.length);
  });
});

describe('a bucket that changes', () => {
  it('between listing and reading: deleted objects are left out, changed objects are read whole in one version', async () => {
    const server = await serverOf({
      goes: 'goes',
      changes: 'before',
      stays: 'stays',
      'large and changing': 'b'.repeat(300_000),
    });
    const { api, sourceId, jobId, check } = await startServerWithBucket(server);
    let reads = 0;
    server.misbehave = ({ key }) => {
      if (key === '') return undefined;
      if (reads++ === 0) {
        server.objects.delete('goes');
        server.put('changes', 'after');
      }
      if (key !== 'large and changing' || server.objects.get(key)?.body[0] !== 0x62) return undefined;
      queueMicrotask(() => server.put(key, 'a'.repeat(300_000)));
      return { cutAfter: 100_000 };
    };
    expect(await runJob(api, jobId)).toMatchObject({
      status: 'succeeded',
      progress: { filesFailed: 0, filesDone: 3, filesSkipped: 1 },
      errors: [{ path: 'goes', code: 'vanished' }],
    });
    const files = await api.all(`/data/files?sourceId=${sourceId}`);
    expect(await Promise.all(files.map(async ({ path, id }) => [path, await contentOf(api, id)]))).toEqual([
      ['changes', 'after'],
      ['large and changing', 'a'.repeat(300_000)],
      ['stays', 'stays'],
    ]);
    await check();
  });

  it('reports one unreadable object and saves all others', async () => {
    const server = await serverOf({ a: 'a', bad: 'bad', 'c/d': 'd' });
    const { api, sourceId, jobId, check } = await startServerWithBucket(server);
    server.misbehave = ({ key }) => (key === 'bad' ? { answer: { status: 500, code: 'InternalError' } } : undefined);
    expect(await runJob(api, jobId)).toMatchObject({
      status: 'partial',
      progress: { filesDone: 2, filesFailed: 1 },
      errors: [{ path: 'bad', code: 'unreadable' }],
    });
    const files = await api.all(`/data/files?sourceId=${sourceId}&recursive=true`);
    expect(files.map(({ path }) => path)).toEqual(['a', 'c/d']);
    server.misbehave = () => undefined;
    expect(await runJob(api, jobId)).toMatchObject({
      status: 'succeeded',
      progress: { filesDone: 1, filesUnchanged: 2 },
    });
    await check();
  });

  it('by archiving all objects: saved objects do not fail, and deletions are noticed', async () => {
    const server = await serverOf({ 'a/': '', 'a/kept': 'kept', 'a/goes': 'goes' });
    const { api, sourceId, jobId, check } = await startServerWithBucket(server);
    expect(await runJob(api, jobId)).toMatchObject({ status: 'succeeded' });
    server.objects.delete('a/goes');
    for (const [key, object] of server.objects) server.objects.set(key, { ...object, storageClass: 'GLACIER' });
    expect(await runJob(api, jobId)).toMatchObject({
      status: 'succeeded',
      errors: [],
      progress: { filesUnchanged: 1, filesDeleted: 1 },
    });
    const files = await api.all(`/data/files?sourceId=${sourceId}&recursive=true`);
    expect(files.map(({ path }) => path)).toEqual(['a', 'a/kept']);
    await check();
  });

  it.each([
    ['gone', { status: 404, code: 'NoSuchBucket' }, 'source-not-found', /no such bucket|Correct|bucket/i],
    ['shut to us', { status: 403, code: 'AccessDenied' }, 'source-forbidden', /s3:ListBucket/],
    ['not to be had with these keys', { status: 403, code: 'InvalidAccessKeyId' }, 'source-forbidden', /access key/],
  ])(
    'and is %s: the run fails and says what to do, no file counts as deleted, and the next run succeeds',
    async (_how, answer, code, message) => {
      const server = await serverOf({ a: 'a', 'b/c': 'c' });
      const { api, sourceId, jobId, check } = await startServerWithBucket(server);
      expect(await runJob(api, jobId)).toMatchObject({ status: 'succeeded' });
      const before = await api.all(`/data/files?sourceId=${sourceId}&recursive=true`);
      server.misbehave = () => ({ answer });
      expect(await runJob(api, jobId)).toMatchObject({
        status: 'failed',
        errors: [{ code, message: expect.stringMatching(message) }],
      });
      expect(await api.all(`/data/files?sourceId=${sourceId}&recursive=true`)).toEqual(before);
      server.misbehave = () => undefined;
      expect(await runJob(api, jobId)).toMatchObject({
        status: 'succeeded',
        progress: { filesDeleted: 0, filesDone: 0 },
      });
      await check();
    },
  );

  it.each([429, 503])('and answers %i with Retry-After: the run waits that long and continues', async (status) => {
    const server = await serverOf({ a: 'a' });
    const { api, jobId, check } = await startServerWithBucket(server);
    const asked: number[] = [];
    const seconds = 3;
    server.misbehave = () => {
      asked.push(Date.now());
      return asked.length === 1
        ? { answer: { status, code: 'SlowDown', headers: { 'retry-after': String(seconds) } } }
        : undefined;
    };
    expect(await runJob(api, jobId)).toMatchObject({ status: 'succeeded' });
    expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThanOrEqual(seconds * 1000 - 50);
    await check();
  });
});

/** The files found by listing each folder by its listed path. */
async function browse(api: Client, sourceId: string, path = '', seen = new Set<string>()): Promise<Body[]> {
  const files: Body[] = [];
  for (const item of await api.all(`/data/files?sourceId=${sourceId}&path=${encodeURIComponent(path)}`)) {
    if (item.kind !== 'folder') files.push(item);
    else if (!seen.has(String(item.path))) {
      seen.add(String(item.path));
      files.push(...(await browse(api, sourceId, String(item.path), seen)));
    }
  }
  return files;
}
