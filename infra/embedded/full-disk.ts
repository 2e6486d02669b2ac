/** Turns full-disk errors of the file system and of SQLite into the Problem `storage-full`. */
import { Problem } from '../../domain/errors.ts';
import { codeOf } from './durable-file.ts';

/** File system: no space, no quota, file size limit. */
const fileCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/**
 * SQLITE_FULL, and SQLITE_IOERR_WRITE, which SQLite reports for a quota or a file size limit.
 * https://www.sqlite.org/rescode.html
 */
const sqliteCodes = new Set([13, 778]);

const detail =
  'The disk or the disk quota of the data folder is full. Free some space, then try again. Finished backups are safe.';

/** Returns Problem `storage-full` for a full-disk error. Returns every other error unchanged. */
export function asStorageFull(error: unknown): unknown {
  const { errcode } = error as { errcode?: unknown };
  const full = fileCodes.has(codeOf(error) ?? '') || (typeof errcode === 'number' && sqliteCodes.has(errcode));
  if (!full) return error;
  const problem = new Problem('storage-full', detail);
  problem.cause = error;
  return problem;
}
