/** `npm start -- --reset`: empties the data folder, and nothing that is not one. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { databaseFile, requireUnused } from './database.ts';

/** Throws when the folder holds something else, or another process is using it. */
export async function resetData(data: string): Promise<void> {
  const names = await readdir(data).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (names.length === 0) return;
  if (!names.includes(databaseFile)) {
    throw new Error(`${data} is not a data folder of ListBackup, so it was not emptied. Check LISTBACKUP_DATA.`);
  }
  requireUnused(join(data, databaseFile));
  await rm(data, { recursive: true });
}
