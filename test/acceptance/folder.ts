/** The main job on a folder, for deployments that can read folders. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { download, listFiles, newPerson, type Person, runJob } from './client.ts';
import type { Target } from './target.ts';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

/** The names of the cases, for deployments that skip them. */
export const folderCases = [
  'backs up a tree with links, empty files and folders, and names in any script',
  'restores every file byte for byte',
  'backs up changed, new and deleted files',
  'skips entries that are no files, with the reason, and never follows links',
  'lets only the first account choose any folder, and never the data folder',
] as const;

export function folderSuite(name: string, open: () => Target & { data: string; first: Person }): void {
  describe(name, () => {
    const root = mkdtempSync(join(tmpdir(), 'listbackup-folder-'));
    const files = new Map<string, string>([
      ['empty', ''],
      ['notes/été.txt', 'naïve'],
      ['notes/日本語.md', '# こんにちは'],
      ['notes/deep/er/a.json', '[1]'],
      ['notes/it\'s 100% "odd"\\name', 'odd'],
    ]);
    let api: Person['api'];
    let target: ReturnType<typeof open>;
    let sourceId: string;
    let jobId: string;
    beforeAll(() => {
      target = open();
      api = target.first.api;
      for (const [path, body] of files) {
        mkdirSync(join(root, path, '..'), { recursive: true });
        writeFileSync(join(root, path), body);
      }
      mkdirSync(join(root, 'hollow'));
      symlinkSync('/etc/passwd', join(root, 'link'));
    });
    afterAll(() => rmSync(root, { recursive: true }));

    it(folderCases[0], async () => {
      const source = await api.expect(201, 'POST', '/sources', {
        body: { type: 'folder', name: 'Tree', config: { path: root } },
      });
      sourceId = source.id as string;
      jobId = (await api.expect(201, 'POST', '/jobs', { body: { name: 'Tree', sourceId } })).id as string;
      expect(await runJob(api, jobId)).toMatchObject({
        status: 'succeeded',
        progress: { filesTotal: files.size + 1, filesDone: files.size + 1 },
      });
      const all = await listFiles(api, `sourceId=${sourceId}&recursive=true`);
      const of = (kind: string) => all.filter((file) => file.kind === kind).map(({ path }) => path);
      expect(of('folder').sort()).toEqual(['hollow', 'notes', 'notes/deep', 'notes/deep/er']);
      expect(of('link')).toEqual(['link']);
      expect(of('file').sort()).toEqual([...files.keys()].sort());
    });

    it(folderCases[1], async () => {
      for (const file of await listFiles(api, `sourceId=${sourceId}&recursive=true`)) {
        if (file.kind === 'file')
          expect(sha256((await download(api, file.id)).bytes), file.path).toBe(sha256(files.get(file.path) ?? '?'));
      }
    });

    it(folderCases[2], async () => {
      writeFileSync(join(root, 'notes/été.txt'), 'changed');
      writeFileSync(join(root, 'notes/new'), 'new');
      rmSync(join(root, 'notes/deep'), { recursive: true });
      expect(await runJob(api, jobId)).toMatchObject({
        status: 'succeeded',
        progress: { filesDone: 2, filesDeleted: 1 },
      });
      const all = await listFiles(api, `sourceId=${sourceId}&recursive=true`);
      expect(all.map(({ path }) => path)).not.toContain('notes/deep');
      expect(all.find(({ path }) => path === 'notes/été.txt')).toMatchObject({
        sha256: sha256('changed'),
        versions: 2,
      });
    });

    it(folderCases[3], async () => {
      execFileSync('mkfifo', [join(root, 'pipe')]);
      const run = await runJob(api, jobId);
      expect(run).toMatchObject({ status: 'succeeded', progress: { filesSkipped: 1, filesFailed: 0 } });
      expect(run.errors).toEqual([{ path: 'pipe', code: expect.any(String), message: expect.any(String) }]);
      const [link] = await listFiles(api, `sourceId=${sourceId}&path=link`);
      expect(link).toMatchObject({ kind: 'link', size: 0 });
      await api.expect(400, 'POST', '/data/download', { body: { fileId: link?.id } });
    });

    it(folderCases[4], async () => {
      const eve = await newPerson(target.url);
      const refused = await eve.api.expect(400, 'POST', '/sources', {
        body: { type: 'folder', name: 'x', config: { path: root } },
      });
      expect(refused.errors).toMatchObject([{ path: 'config.path' }]);
      await api.expect(400, 'POST', '/sources', { body: { type: 'folder', name: 'x', config: { path: target.data } } });
    });
  });
}
