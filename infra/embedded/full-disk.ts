/** What the machine says when there is no room for what was to be written, as a Problem that says what to do. */
import { Problem } from '../../domain/errors.ts';
import { codeOf } from './durable-file.ts';

/** Of files: no space, no quota, no larger file allowed. */
const fileCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
/**
 * Of SQLite: SQLITE_FULL, and SQLITE_IOERR_WRITE, which is how it tells of a quota or of a limit to a file's size.
 * https://www.sqlite.org/rescode.html
 */
const sqliteCodes = new Set([13, 778]);

const whatToDo =
  'The disk that ListBackup keeps its data on is full, or its quota is. Free some space there, then do this again; what was backed up before is safe.';

/** Problem `storage-full` for an error that means that; any other error as it is. */
export function asStorageFull(error: unknown): unknown {
  const { errcode } = error as { errcode?: unknown };
  const full = fileCodes.has(codeOf(error) ?? '') || (typeof errcode === 'number' && sqliteCodes.has(errcode));
  if (!full) return error;
  const problem = new Problem('storage-full', whatToDo);
  problem.cause = error;
  return problem;
}
