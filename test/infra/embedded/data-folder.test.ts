/** Start and reset touch only the files that ListBackup made. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requireDataFolder, resetData } from '../../../infra/embedded/data-folder.ts';
import { databaseFile } from '../../../infra/embedded/database.ts';
import { openEmbedded } from '../../../infra/embedded/platform.ts';
import { silent, testFolder } from '../../support/embedded.ts';

const unfinished = `${'0a'.repeat(12)}.tmp`;

async function folderWith(...names: string[]): Promise<string> {
  const folder = await testFolder();
  for (const name of names) await writeFile(join(folder, name), 'content');
  return folder;
}

async function dataFolder(): Promise<string> {
  const data = await testFolder();
  const { close } = await openEmbedded({ data, log: silent, routes: [], environment: {} });
  await close();
  return data;
}

describe('requireDataFolder', () => {
  it.each([[['passwd']], [['keys.json', 'passwd']], [['a.tmp']]])('refuses a folder with %j', async (names) => {
    const folder = await folderWith(...names);
    await expect(requireDataFolder(folder)).rejects.toThrow(
      `${folder} holds other files and is not a data folder of ListBackup. Name an empty folder in LISTBACKUP_DATA.`,
    );
  });

  it('accepts a missing folder, an empty one, and the root of a new disk', async () => {
    const folder = await testFolder();
    await requireDataFolder(join(folder, 'missing'));
    await requireDataFolder(folder);
    await mkdir(join(folder, 'lost+found'));
    await requireDataFolder(folder);
  });

  it('accepts the folder of an interrupted first start', async () => {
    await requireDataFolder(await folderWith('keys.json', unfinished));
    await requireDataFolder(await folderWith('secrets.json'));
  });

  it('accepts a data folder, also with foreign files', async () => {
    const data = await dataFolder();
    await requireDataFolder(data);
    await writeFile(join(data, 'notes.txt'), 'mine');
    await requireDataFolder(data);
  });
});

describe('resetData', () => {
  it('deletes every file of a data folder', async () => {
    const data = await dataFolder();
    await writeFile(join(data, unfinished), 'half');
    await writeFile(join(data, 'blobs-are-at'), 's3://backups\n');
    expect(await resetData(data)).toEqual([]);
    expect(await readdir(data)).toEqual([]);
  });

  it('keeps foreign files and names them, and the next start accepts the folder', async () => {
    const data = await dataFolder();
    await writeFile(join(data, 'notes.txt'), 'mine');
    await mkdir(join(data, 'lost+found'));
    expect(await resetData(data)).toEqual(['notes.txt']);
    expect((await readdir(data)).sort()).toEqual([databaseFile, 'lost+found', 'notes.txt']);
    expect(await readFile(join(data, 'notes.txt'), 'utf8')).toBe('mine');
    await requireDataFolder(data);
    const { platform, close } = await openEmbedded({ data, log: silent, routes: [], environment: {} });
    expect(await platform.secrets.get('jwt-secret')).toBeDefined();
    await close();
  });

  it('deletes nothing in a folder that is not a data folder', async () => {
    const folder = await folderWith('passwd', 'keys.json');
    await expect(resetData(folder)).rejects.toThrow('is not a data folder of ListBackup');
    expect((await readdir(folder)).sort()).toEqual(['keys.json', 'passwd']);
  });

  it('deletes nothing while another process uses the folder', async () => {
    const data = await testFolder();
    const { close } = await openEmbedded({ data, log: silent, routes: [], environment: {} });
    const names = await readdir(data);
    await expect(resetData(data)).rejects.toThrow('Another process uses this data folder');
    expect(await readdir(data)).toEqual(names);
    await close();
  });

  it('completes a reset that was interrupted', async () => {
    const data = await folderWith('keys.json', 'secrets.json');
    expect(await resetData(data)).toEqual([]);
    expect(await readdir(data)).toEqual([]);
    expect(await resetData(join(data, 'missing'))).toEqual([]);
  });
});
