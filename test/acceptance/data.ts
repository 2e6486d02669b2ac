/** Versions, search and zips, through the public API only. */
import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { unzip } from '../support/unzip.ts';
import { download, type File, listFiles, newPerson, type Person, runJob, until } from './client.ts';
import type { Target, TestBucket } from './target.ts';

export function dataSuite(name: string, open: () => Target): void {
  describe(name, () => {
    let target: Target;
    let ada: Person;
    let eve: Person;
    let bucket: TestBucket;
    let sourceId: string;
    let jobId: string;
    let before: string;
    let changing: string;
    const big = randomBytes(6 * 1024 * 1024);
    const now = new Map<string, Uint8Array | string>([
      ['changing.txt', 'third'],
      ['docs/Été 2025.PDF', 'summer'],
      ['docs/deep/big.bin', big],
      ['docs/empty', ''],
      ['photos/summer.png', 'no picture'],
    ]);

    /** Every item of a search, page by page. */
    async function search(body: object, limit = 50): Promise<string[]> {
      const paths: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page = await ada.api.expect(
          200,
          'POST',
          `/data/search?limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`,
          { body },
        );
        paths.push(...(page.items as File[]).map(({ path }) => path));
        cursor = page.next as string | null;
      }
      return paths;
    }

    async function zipOf(body: object) {
      const asked = await ada.api.call('POST', '/data/download', { body: { sourceId, ...body } });
      expect(asked).toMatchObject({ status: 202, body: { id: expect.any(String), status: 'preparing' } });
      const { id } = asked.body;
      expect(asked.headers.get('location')).toBe(`/data/downloads/${id}`);
      const ready = await until('the zip is ready', async () => {
        const look = await ada.api.expect(200, 'GET', `/data/downloads/${id}`);
        expect(look.status).toBeOneOf(['preparing', 'ready']);
        return look.status === 'ready' ? look : undefined;
      });
      const response = await fetch(ready.url as string);
      return { id, ready, response, bytes: Buffer.from(await response.arrayBuffer()) };
    }

    beforeAll(async () => {
      target = open();
      [ada, eve] = await Promise.all([newPerson(target.url), newPerson(target.url)]);
      bucket = await target.bucket();
      const { config, credentials } = bucket;
      const source = await ada.api.expect(201, 'POST', '/sources', {
        body: { type: 's3', name: 'Data', config, credentials },
      });
      sourceId = source.id as string;
      jobId = (await ada.api.expect(201, 'POST', '/jobs', { body: { name: 'Data', sourceId } })).id as string;
      const run = async () => expect(await runJob(ada.api, jobId)).toMatchObject({ status: 'succeeded' });
      for (const [key, body] of now) await bucket.put(key, body);
      await bucket.put('changing.txt', 'first');
      await bucket.put('docs/gone', 'was here');
      await run();
      changing = (await listFiles(ada.api, `sourceId=${sourceId}&path=changing.txt`))[0]?.id ?? '';
      before = new Date().toISOString();
      await bucket.remove('changing.txt');
      await bucket.remove('docs/gone');
      await run();
      await bucket.put('changing.txt', 'third');
      await run();
    });

    it('lists every version of a file, newest first, including its deletion', async () => {
      const versions = await ada.api.all(`/data/files/${changing}/versions`, 2);
      expect(versions.map(({ version, size, deleted }) => [version, size, deleted])).toEqual([
        [3, 5, false],
        [2, 0, true],
        [1, 5, false],
      ]);
      expect(versions[1]?.sha256).toBe(null);
      const runs = await ada.api.all(`/runs?jobId=${jobId}`);
      expect(versions.map(({ runId }) => runId)).toEqual(runs.map(({ id }) => id));
      for (const { at } of versions) expect(Date.parse(at as string)).not.toBeNaN();
      await eve.api.expect(404, 'GET', `/data/files/${changing}/versions`);
    });

    it('downloads any version, also of a deleted file', async () => {
      const get = async (fileId: string, version?: number) => {
        const { url } = await ada.api.expect(200, 'POST', '/data/download', {
          body: { fileId, ...(version ? { version } : {}) },
        });
        return (await fetch(url as string)).text();
      };
      expect(await get(changing)).toBe('third');
      expect(await get(changing, 1)).toBe('first');
      for (const version of [2, 9]) {
        const refused = await ada.api.expect(404, 'POST', '/data/download', { body: { fileId: changing, version } });
        expect(refused.detail).toMatch(/versions/);
      }
      const [gone] = await listFiles(ada.api, `sourceId=${sourceId}&path=docs/gone&asOf=${before}`);
      expect((await download(ada.api, gone?.id ?? '')).bytes.toString()).toBe('was here');
      const versions = await ada.api.all(`/data/files/${gone?.id}/versions`);
      expect(versions.map(({ deleted }) => deleted)).toEqual([true, false]);
    });

    it('searches by words and filters in the newest backup', async () => {
      expect(await search({ query: 'ETE docs' })).toEqual(['docs/Été 2025.PDF']);
      expect(await search({ query: 'gone' })).toEqual([]);
      expect(await search({ query: '', types: ['pdf', 'image'] }, 1)).toEqual([
        'docs/Été 2025.PDF',
        'photos/summer.png',
      ]);
      expect(await search({ query: '', sourceId, minSize: 1_000_000 })).toEqual(['docs/deep/big.bin']);
      expect(await search({ query: '', modifiedBefore: '2001-01-01T00:00:00Z' })).toEqual([]);
      expect((await search({ query: '', types: ['file'] })).toSorted()).toEqual([...now.keys()].toSorted());
      const nothing = await eve.api.expect(200, 'POST', '/data/search', { body: { query: '' } });
      expect(nothing).toEqual({ items: [], next: null });
      expect(await ada.api.expect(400, 'POST', '/data/search', { body: { query: '', cursor: 'x' } })).toMatchObject({
        errors: [{ path: 'cursor' }],
      });
    });

    it('downloads folders and files as one zip that is prepared in the background', async () => {
      const { id, ready, response, bytes } = await zipOf({ paths: ['docs', 'changing.txt'] });
      expect(response.status).toBe(200);
      expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename=backup-\d{4}-\d\d-\d\d\.zip$/);
      expect(response.headers.get('content-type')).toBe('application/zip');
      expect(Date.parse(ready.expiresAt as string) - Date.now()).toBeLessThanOrEqual(15 * 60_000);
      const entries = await unzip(bytes);
      const chosen = [...now].filter(([path]) => path.startsWith('docs/') || path === 'changing.txt');
      expect(entries.map((entry) => entry.name).toSorted()).toEqual(chosen.map(([path]) => path).toSorted());
      for (const entry of entries)
        expect(entry.content.equals(Buffer.from(now.get(entry.name) ?? '?')), entry.name).toBe(true);
      const part = await fetch(ready.url as string, { headers: { range: 'bytes=0-3' } });
      expect([part.status, await part.text()]).toEqual([206, 'PK\u0003\u0004']);
      await eve.api.expect(404, 'GET', `/data/downloads/${id}`);
    });

    it('downloads a zip as of a time, and refuses paths that did not exist then', async () => {
      const { bytes } = await zipOf({ paths: ['docs/gone', 'changing.txt'], asOf: before });
      expect((await unzip(bytes)).map((entry) => [entry.name, entry.content.toString()])).toEqual([
        ['changing.txt', 'first'],
        ['docs/gone', 'was here'],
      ]);
      const refused = await ada.api.expect(404, 'POST', '/data/download', {
        body: { sourceId, paths: ['docs', 'docs/gone'] },
      });
      expect(refused.detail).toContain('docs/gone');
      await eve.api.expect(404, 'POST', '/data/download', { body: { sourceId, paths: ['docs'] } });
    });

    it('records each download in the activity log', async () => {
      const granted = await until('the grant in the ledger', async () => {
        const all = await ada.api.all('/activity?type=download.granted');
        return all.length >= 5 ? all : undefined;
      });
      const files = granted.map(({ data }) => data as { path: string | null; version: number | null });
      expect(files).toContainEqual(expect.objectContaining({ path: 'changing.txt', version: 1 }));
      expect(files.filter(({ path }) => path === null)).toHaveLength(2);
    });
  });
}
