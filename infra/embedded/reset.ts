/** `npm start -- --reset`: deletes the data folder. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { databaseFile, requireUnused } from './database.ts';

/** Throws if the folder holds other data or if another process uses it. Then nothing is deleted. */
export async function resetData(data: string): Promise<void> {
  const names = await readdir(data).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return;
  if (!names.includes(databaseFile)) {
    throw new Error(`${data} is not a data folder of ListBackup, so nothing was deleted. Check LISTBACKUP_DATA.`);
  }
  requireUnused(join(data, databaseFile));
  await rm(data, { recursive: true });
}
