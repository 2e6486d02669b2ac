/** Tells the files of a data folder from foreign files, so that ListBackup neither mixes with them nor deletes them. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { blobFolder } from './blobs.ts';
import { markerFile } from './bucket.ts';
import { chunkIndexFiles } from './chunk-index.ts';
import { databaseFile, requireUnused } from './database.ts';
import { temporaryFile } from './durable-file.ts';
import { keyFile, keyFileCopy } from './key-file.ts';
import { secretsFile } from './secrets.ts';

/** The database is the last one: as long as it exists, an interrupted reset can be repeated. */
const ownNames = [
  basename(blobFolder('')),
  markerFile,
  secretsFile,
  keyFile,
  keyFileCopy,
  ...chunkIndexFiles,
  ...['-journal', '-shm', '-wal', ''].map((ending) => `${databaseFile}${ending}`),
];

/** Made by the system: `lost+found` at the root of a disk, `.DS_Store` by macOS. */
const systemNames = ['lost+found', '.DS_Store'];

/**
 * Throws if the folder holds foreign files and no database. Accepts a folder that is missing or holds only files of a
 * first start that was interrupted.
 */
export async function requireDataFolder(data: string): Promise<void> {
  refuseForeign(data, await namesIn(data));
}

/**
 * `npm start -- --reset`: deletes the files of ListBackup. Returns the names of the foreign files, which remain.
 * Throws if the folder is not a data folder, or if another process uses it. Then nothing is deleted.
 */
export async function resetData(data: string): Promise<string[]> {
  const names = await namesIn(data);
  refuseForeign(data, names);
  const database = join(data, databaseFile);
  if (names.includes(databaseFile)) requireUnused(database);
  const foreign = names.filter(isForeign);
  const unfinished = names.filter((name) => temporaryFile.test(name));
  for (const name of [...unfinished, ...ownNames]) {
    // An empty database: the next start accepts the folder in spite of the foreign files.
    if (name === databaseFile && foreign.length > 0) await writeFile(database, '');
    else await rm(join(data, name), { recursive: true, force: true });
  }
  return foreign;
}

async function namesIn(data: string): Promise<string[]> {
  return readdir(data).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

function refuseForeign(data: string, names: string[]): void {
  if (names.includes(databaseFile) || !names.some(isForeign)) return;
  throw new Error(
    `${data} holds other files and is not a data folder of ListBackup. Name an empty folder in LISTBACKUP_DATA.`,
  );
}

function isForeign(name: string): boolean {
  return !ownNames.includes(name) && !systemNames.includes(name) && !temporaryFile.test(name);
}
