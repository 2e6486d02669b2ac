/** The main job, through the public API only. The suite runs on `npm start` and on the deployed CDK app. */
import { createHash, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  type Body,
  client,
  download,
  listFiles,
  newPerson,
  type Person,
  type Run,
  runJob,
  seen,
  until,
} from './client.ts';
import type { Target, TestBucket } from './target.ts';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

export function acceptanceSuite(name: string, open: () => Target): void {
  describe(name, () => {
    let target: Target;
    let ada: Person;
    beforeAll(async () => {
      target = open();
      ada = await newPerson(target.url);
    });

    describe('signing in', () => {
      it('registers an address once, in upper or lower case', async () => {
        const body = { email: ada.email.toUpperCase(), password: 'another fine password', name: 'Eve' };
        expect(await client(target.url).expect(409, 'POST', '/auth/register', { body })).toMatchObject({
          code: 'email-taken',
        });
      });

      it('refuses a wrong password and an unknown address with the same answer', async () => {
        const wrong = { email: ada.email, password: 'not the password at all' };
        const unknown = { email: `x${ada.email}`, password: ada.password };
        const answers = await Promise.all(
          [wrong, unknown].map((body) => client(target.url).call('POST', '/auth/login', { body })),
        );
        for (const answer of answers)
          expect(answer).toMatchObject({ status: 401, body: { code: 'invalid-credentials' } });
        expect(answers[0]?.body.detail).toBe(answers[1]?.body.detail);
      });

      it('exchanges a refresh token for a new pair, and ends the session at logout', async () => {
        const nobody = client(target.url);
        const { email, password } = ada;
        const first = await nobody.expect(200, 'POST', '/auth/login', { body: { email, password } });
        const second = await nobody.expect(200, 'POST', '/auth/refresh', {
          body: { refreshToken: first.refreshToken },
        });
        expect(second).toMatchObject({ tokenType: 'Bearer', expiresIn: expect.any(Number) });
        const api = client(target.url, second.accessToken as string);
        await api.expect(200, 'GET', '/sources');
        await nobody.expect(204, 'POST', '/auth/logout', { body: { refreshToken: second.refreshToken } });
        await api.expect(401, 'GET', '/sources');
        await nobody.expect(401, 'POST', '/auth/refresh', { body: { refreshToken: second.refreshToken } });
      });

      it('answers 401 without a credential', async () => {
        for (const path of ['/sources', '/jobs', '/runs', '/data/files', '/analytics/overview', '/activity']) {
          await client(target.url).expect(401, 'GET', path);
        }
      });
    });

    describe('the main job on a bucket', () => {
      let bucket: TestBucket;
      let sourceId: string;
      let jobId: string;
      const big = randomBytes(6 * 1024 * 1024);
      const files = new Map<string, Uint8Array | string>([
        ['a.txt', 'first'],
        ['docs/empty', ''],
        ['docs/zahlen-äöü.csv', '1,2,3\n'.repeat(5000)],
        ['docs/deep/er/still.json', '{"a":1}'],
        ['docs/deep/er/big.bin', big],
        ['z', 'last'],
      ]);

      it('backs up every object, with progress that never goes back', async () => {
        bucket = await target.bucket();
        for (const [key, body] of files) await bucket.put(key, body);
        const { config, credentials } = bucket;
        const source = await ada.api.expect(201, 'POST', '/sources', {
          body: { type: 's3', name: 'Bucket', config, credentials },
        });
        expect(source).toMatchObject({ type: 's3', name: 'Bucket', status: 'connected', config });
        expect(JSON.stringify(source)).not.toContain(credentials.secretAccessKey);
        sourceId = source.id as string;
        const job = await ada.api.expect(201, 'POST', '/jobs', { body: { name: 'Nightly', sourceId } });
        expect(job).toMatchObject({ name: 'Nightly', sourceId, schedule: null, retention: null });
        jobId = job.id as string;

        const run = await runJob(ada.api, jobId);
        expect(run).toMatchObject({ status: 'succeeded', jobId, sourceId, errors: [] });
        const bytes = [...files.values()].reduce((sum, body) => sum + Buffer.byteLength(body), 0);
        expect(run.progress).toMatchObject({
          filesTotal: files.size,
          filesDone: files.size,
          filesFailed: 0,
          bytesRead: bytes,
          percent: 100,
        });
        expect(run.progress.bytesStored).toBeGreaterThan(big.length);
        expect(run.cost.requests).toBeGreaterThan(0);
        const done = run.seen.map(({ progress }) => progress.filesDone ?? 0);
        expect(done).toEqual(done.toSorted((a, b) => a - b));
        expect(run.seen.every(({ status }) => ['requested', 'running', 'succeeded'].includes(status))).toBe(true);
      });

      it('lists all files with size and hash, and by folder', async () => {
        const all = (await listFiles(ada.api, `sourceId=${sourceId}&recursive=true`)).filter(
          ({ kind }) => kind === 'file',
        );
        expect(all.map(({ path, size, sha256: hash }) => [path, size, hash])).toEqual(
          [...files]
            .map(([path, body]) => [path, Buffer.byteLength(body), sha256(body)])
            .sort(([a], [b]) => ((a as string) < (b as string) ? -1 : 1)),
        );
        const root = await listFiles(ada.api, `sourceId=${sourceId}`);
        expect(root.map(({ path, kind }) => [path, kind])).toEqual([
          ['a.txt', 'file'],
          ['docs', 'folder'],
          ['z', 'file'],
        ]);
        const docs = await listFiles(ada.api, `sourceId=${sourceId}&path=docs`);
        expect(docs.map(({ name, kind }) => [name, kind])).toEqual([
          ['deep', 'folder'],
          ['empty', 'file'],
          ['zahlen-äöü.csv', 'file'],
        ]);
        expect(await ada.api.all(`/data/files?sourceId=${sourceId}&recursive=true`, 2)).toHaveLength(all.length);
      });

      it('restores every file byte for byte', async () => {
        for (const file of await listFiles(ada.api, `sourceId=${sourceId}&recursive=true`)) {
          if (file.kind !== 'file') continue;
          const { response, bytes } = await download(ada.api, file.id);
          expect(response.status).toBe(200);
          expect(sha256(bytes), file.path).toBe(sha256(files.get(file.path) ?? 'not there'));
          expect(response.headers.get('content-disposition')).toMatch(/^attachment/);
        }
      });

      it('answers a range request of a download', async () => {
        const [file] = await listFiles(ada.api, `sourceId=${sourceId}&path=docs/deep/er/big.bin`);
        const { response, bytes } = await download(ada.api, file?.id ?? '', { range: 'bytes=1000000-1000099' });
        expect(response.status).toBe(206);
        expect(response.headers.get('content-range')).toBe(`bytes 1000000-1000099/${big.length}`);
        expect(bytes.equals(big.subarray(1_000_000, 1_000_100))).toBe(true);
      });

      it('stores nothing if no file changed', async () => {
        const run = await runJob(ada.api, jobId);
        expect(run).toMatchObject({
          status: 'succeeded',
          progress: { filesTotal: files.size, filesUnchanged: files.size, filesDone: 0, bytesRead: 0 },
        });
      });

      it('backs up changed, new and deleted files, and still lists the earlier state', async () => {
        const before = new Date().toISOString();
        await bucket.put('a.txt', 'second');
        await bucket.put('docs/new', 'fresh');
        await bucket.remove('z');
        const run = await runJob(ada.api, jobId);
        expect(run).toMatchObject({
          status: 'succeeded',
          progress: { filesDone: 2, filesDeleted: 1, filesUnchanged: files.size - 2, percent: 100 },
        });

        const now = await listFiles(ada.api, `sourceId=${sourceId}&recursive=true`);
        const paths = now.filter(({ kind }) => kind === 'file').map(({ path }) => path);
        expect(paths).toContain('docs/new');
        expect(paths).not.toContain('z');
        const changed = now.find(({ path }) => path === 'a.txt');
        expect(changed).toMatchObject({ sha256: sha256('second'), versions: 2 });
        expect((await download(ada.api, changed?.id ?? '')).bytes.toString()).toBe('second');

        const then = await listFiles(ada.api, `sourceId=${sourceId}&recursive=true&asOf=${before}`);
        expect(then.map(({ path }) => path)).toContain('z');
        expect(then.find(({ path }) => path === 'a.txt')).toMatchObject({ sha256: sha256('first') });
      });

      it('ends as partial if a file fails, lists it with the reason, and saves the rest', async () => {
        await bucket.put('docs/frozen', 'cannot be read', { archived: true });
        await bucket.put('docs/other', 'can be read');
        const run = await runJob(ada.api, jobId);
        expect(run).toMatchObject({ status: 'partial', progress: { filesFailed: 1, filesDone: 1, percent: 100 } });
        expect(run.errors).toEqual([{ path: 'docs/frozen', code: 'archived', message: expect.stringMatching(/\w/) }]);
        const paths = (await listFiles(ada.api, `sourceId=${sourceId}&path=docs`)).map(({ path }) => path);
        expect(paths).toContain('docs/other');
        expect(paths).not.toContain('docs/frozen');
        expect(await ada.api.all(`/runs/${run.id}/errors`)).toEqual(run.errors);
        await bucket.remove('docs/frozen');
        expect(await runJob(ada.api, jobId)).toMatchObject({ status: 'succeeded' });
      });

      it('fails and says what to do if the source is unreachable, and keeps the last restore point', async () => {
        const config = { ...bucket.config, bucket: `${bucket.config.bucket}-not-there` };
        await ada.api.expect(200, 'PUT', `/sources/${sourceId}`, { body: { name: 'Bucket', config } });
        const run = await runJob(ada.api, jobId);
        expect(run.status).toBe('failed');
        expect(run.errors[0]).toMatchObject({
          path: '',
          code: 'source-not-found',
          message: expect.stringMatching(/\w/),
        });
        expect(await listFiles(ada.api, `sourceId=${sourceId}&recursive=true`)).not.toHaveLength(0);
        await ada.api.expect(200, 'PUT', `/sources/${sourceId}`, { body: { name: 'Bucket', config: bucket.config } });
        expect(await runJob(ada.api, jobId)).toMatchObject({ status: 'succeeded' });
      });

      it('lists runs of all jobs or one job, newest first', async () => {
        const runs = (await ada.api.all('/runs')) as Run[];
        expect(runs.map(({ status }) => status)).toEqual([
          'succeeded',
          'failed',
          'succeeded',
          'partial',
          'succeeded',
          'succeeded',
          'succeeded',
        ]);
        expect((await ada.api.all(`/runs?jobId=${jobId}`, 3)).map(({ id }) => id)).toEqual(runs.map(({ id }) => id));
      });

      it('sums up files, bytes and runs', async () => {
        const live = (await listFiles(ada.api, `sourceId=${sourceId}&recursive=true`)).filter(
          ({ kind }) => kind === 'file',
        );
        // The runs are counted independently, in any order
        await expect
          .poll(() => ada.api.expect(200, 'GET', '/analytics/overview'))
          .toMatchObject({
            sources: 1,
            jobs: 1,
            runs: { total: 7, succeeded: 5, partial: 1, failed: 1 },
            files: live.length,
            bytesProtected: live.reduce((sum, { size }) => sum + size, 0),
            bytesStored: expect.any(Number),
            lastRunAt: expect.any(String),
          });
      });

      it('records every event in a gapless activity log without secrets', async () => {
        const items = await until('the ledger has the last run', async () => {
          const all = await ada.api.all('/activity');
          const ends = all.filter(({ type }) => type === 'restore-point.created.v1' || type === 'run.ended.v1');
          return ends.length === 7 ? all : undefined;
        });
        const seqs = [...new Set(items.map(({ seq }) => seq as number))];
        expect(seqs).toEqual(seqs.map((_, index) => index + 1));
        const types = new Set(items.map(({ type }) => type));
        for (const type of [
          'user.registered.v1',
          'account.opened.v1',
          'session.opened.v1',
          'source.connected.v1',
          'job.created.v1',
          'run.requested.v1',
          'restore-point.created.v1',
          'run.ended.v1',
        ]) {
          expect(types).toContain(type);
        }
        const text = JSON.stringify(items);
        expect(text).not.toContain(bucket.credentials.secretAccessKey);
        expect(text).not.toContain(ada.password);
        const idsOf = (some: Body[]) => some.map(({ id }) => id as string);
        const newest = idsOf((await ada.api.expect(200, 'GET', '/activity?order=desc&limit=3')).items as Body[]);
        expect(newest).toEqual(idsOf(items).slice(-3).reverse());
      });
    });

    describe('cancelling a run', () => {
      it('ends the run without a restore point, and the next run succeeds', async () => {
        const bucket = await target.bucket();
        const names = Array.from({ length: 200 }, (_, i) => `many/${String(i).padStart(3, '0')}`);
        for (let i = 0; i < names.length; i += 50)
          await Promise.all(names.slice(i, i + 50).map((key) => bucket.put(key, key.repeat(100))));
        const body = { type: 's3', name: 'Many', config: bucket.config, credentials: bucket.credentials };
        const eve = await newPerson(target.url);
        const source = await eve.api.expect(201, 'POST', '/sources', { body });
        const job = await eve.api.expect(201, 'POST', '/jobs', { body: { name: 'Many', sourceId: source.id } });
        const release = await bucket.hold?.();
        // Release the bucket also after a failure, because later tests use the same deployment
        if (release) onTestFinished(release);
        const requested = await eve.api.call('POST', `/jobs/${job.id}/run`);
        await seen(eve.api, requested, 200, `/runs/${requested.body.id}`);
        await eve.api.expect(202, 'POST', `/runs/${requested.body.id}/cancel`);
        await release?.();
        const run = await until('it ends', async () => {
          const body = (await eve.api.expect(200, 'GET', `/runs/${requested.body.id}`)) as Run;
          return body.finishedAt ? body : undefined;
        });
        expect(run.status).toBe('cancelled');
        expect(await listFiles(eve.api, `sourceId=${source.id}&recursive=true`)).toEqual([]);
        await eve.api.expect(202, 'POST', `/runs/${run.id}/cancel`);

        expect(await runJob(eve.api, job.id as string)).toMatchObject({
          status: 'succeeded',
          progress: { filesDone: 200, percent: 100 },
        });
        expect((await listFiles(eve.api, `sourceId=${source.id}&path=many`)).map(({ path }) => path)).toEqual(names);
        const [last] = await eve.api.all('/runs');
        expect(await eve.api.expect(409, 'POST', `/runs/${last?.id}/cancel`)).toMatchObject({ code: 'run-over' });
      });
    });

    describe('every call', () => {
      it('answers for data of other accounts as if it did not exist', async () => {
        const eve = await newPerson(target.url);
        const of = async (path: string) => ((await ada.api.all(path))[0] as { id: string }).id;
        const [source, job, run] = await Promise.all([of('/sources'), of('/jobs'), of('/runs')]);
        for (const path of [`/sources/${source}`, `/jobs/${job}`, `/runs/${run}`])
          await eve.api.expect(404, 'GET', path);
        await eve.api.expect(404, 'POST', `/jobs/${job}/run`);
        await eve.api.expect(404, 'DELETE', `/sources/${source}`);
        await eve.api.expect(404, 'POST', '/jobs', { body: { name: 'Mine now', sourceId: source } });
        const [file] = await listFiles(ada.api, `sourceId=${source}&path=a.txt`);
        await eve.api.expect(404, 'POST', '/data/download', { body: { fileId: file?.id } });
        for (const path of ['/sources', '/jobs', '/runs', '/data/files', `/data/files?sourceId=${source}`]) {
          expect(await eve.api.all(path), path).toEqual([]);
        }
        const log = await until('the second account to have a log', async () => {
          const all = await eve.api.all('/activity');
          return all.length >= 3 ? all : undefined;
        });
        expect(log.every(({ stream }) => (stream as string).startsWith(`${eve.account}/`))).toBe(true);
      });

      it('lets a read wait for an own write', async () => {
        const { config, credentials } = await target.bucket();
        const written = await ada.api.call('POST', '/sources', {
          body: { type: 's3', name: 'Seen at once', config, credentials },
        });
        expect(written.status).toBe(201);
        const list = await seen(ada.api, written, 200, '/sources');
        expect((list.items as { id: string }[]).map(({ id }) => id)).toContain(written.body.id);
        const gone = await ada.api.call('DELETE', `/sources/${written.body.id}`);
        expect(gone.status).toBe(204);
        await seen(ada.api, gone, 404, `/sources/${written.body.id}`);
      });

      it('executes a repeated request once', async () => {
        const [source] = await ada.api.all('/sources');
        const headers = { 'idempotency-key': `once-${Date.now()}` };
        const body = { name: 'Once', sourceId: source?.id };
        const first = await ada.api.expect(201, 'POST', '/jobs', { body, headers });
        expect(await ada.api.expect(201, 'POST', '/jobs', { body, headers })).toEqual(first);
        const other = await ada.api.expect(422, 'POST', '/jobs', { body: { ...body, name: 'Twice' }, headers });
        expect(other).toMatchObject({ code: 'idempotency-mismatch' });
      });

      it('opens one run of a job at a time', async () => {
        const [job] = await ada.api.all('/jobs');
        const answers = await Promise.all(
          Array.from({ length: 5 }, () => ada.api.call('POST', `/jobs/${job?.id}/run`)),
        );
        const started = answers.filter(({ status }) => status === 202);
        // On a slow machine a run may end before the last request arrives
        const ids = started.map(({ body }) => body.id);
        expect(ids.length).toBeGreaterThan(0);
        for (const answer of answers.filter(({ status }) => status !== 202)) {
          expect(answer).toMatchObject({ status: 409, body: { code: 'run-open', runId: expect.toBeOneOf(ids) } });
        }
        for (const { headers, body } of started) expect(headers.get('location')).toBe(`/runs/${body.id}`);
        await until('it ends', async () => {
          const runs = await Promise.all(ids.map((id) => ada.api.call('GET', `/runs/${id}`)));
          return runs.every(({ body }) => body.finishedAt) ? runs : undefined;
        });
      });

      it('names the invalid field', async () => {
        const bad = await ada.api.call('POST', '/jobs', { body: { name: 'x', sourceId: 'src_x', colour: 'red' } });
        expect(bad.status).toBe(400);
        expect(bad.headers.get('content-type')).toMatch('application/problem+json');
        expect((bad.body.errors as { path: string }[]).map(({ path }) => path).sort()).toEqual(['colour', 'sourceId']);
        await ada.api.expect(400, 'POST', '/sources', { body: { type: 's3', name: 'x', config: {}, credentials: {} } });
        await ada.api.expect(400, 'GET', '/sources?limit=0');
        await ada.api.expect(400, 'GET', '/sources?cursor=abc');
        await ada.api.expect(404, 'GET', '/nowhere');
      });

      it('names what is not available yet', async () => {
        const [source] = await ada.api.all('/sources');
        const body = { name: 'x', sourceId: source?.id, schedule: { cron: '0 3 * * *', timeZone: 'UTC' } };
        expect(await ada.api.expect(422, 'POST', '/jobs', { body })).toMatchObject({ code: 'not-available' });
      });

      it('refuses a write that would undo an unknown write', async () => {
        const [job] = await ada.api.all('/jobs');
        const { headers } = await ada.api.call('GET', `/jobs/${job?.id}`);
        const ifMatch = { 'if-match': headers.get('etag') ?? '' };
        await ada.api.expect(200, 'PUT', `/jobs/${job?.id}`, { body: { name: 'Renamed' }, headers: ifMatch });
        expect(
          await ada.api.expect(412, 'PUT', `/jobs/${job?.id}`, { body: { name: 'Lost' }, headers: ifMatch }),
        ).toMatchObject({
          code: 'precondition-failed',
        });
      });

      it('serves its OpenAPI description', async () => {
        const nobody = client(target.url);
        await nobody.expect(200, 'GET', '/health');
        const document = await nobody.expect(200, 'GET', '/openapi.json');
        expect(document).toMatchObject({ openapi: expect.stringMatching(/^3\.1/) });
        expect(Object.keys(document.paths as object)).toEqual(
          expect.arrayContaining(['/jobs/{id}/run', '/data/files', '/auth/register']),
        );
        const docs = await fetch(`${target.url}/docs`);
        expect(docs.status).toBe(200);
        expect(docs.headers.get('content-security-policy')).toMatch(/default-src/);
      });
    });
  });
}
