/** Errors of `npm start`, in one line that says what to do. */
import { optionError, type Settings } from './settings.ts';

/** Returns one line for an error of the start. `settings` is absent if reading the settings failed. */
export function describeStartError(error: unknown, settings?: Pick<Settings, 'data' | 'host' | 'port'>): string {
  const { code, message, syscall, path } = error as NodeJS.ErrnoException;
  const { data = 'the data folder', host, port } = settings ?? {};
  if (code === 'EADDRINUSE')
    return `Port ${port} is in use. Stop the program that uses it, or choose another: PORT=${(port ?? 4000) + 1} npm start`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `HOST=${host} is not an address of this computer. Unset HOST to listen on 127.0.0.1.`;
  if (code === 'EACCES' && syscall === 'listen')
    return `Port ${port} needs administrator rights. Choose a port from 1024 up: PORT=4000 npm start`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `${path ?? data} cannot be used. Give this user access to it, or name another folder in LISTBACKUP_DATA.`;
  if (/unable to open database|disk I\/O error|readonly database/.test(message))
    return `${data}/listbackup.db cannot be opened and written. Give this user access to it, or name another folder in LISTBACKUP_DATA.`;
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return `${data} is not a folder, or is inside a file. Name a folder in LISTBACKUP_DATA.`;
  if (code === 'ENOENT') return `${data} cannot be created. Name another folder in LISTBACKUP_DATA.`;
  if (code === 'storage-full' || code === 'ENOSPC' || code === 'EDQUOT' || /disk is full/.test(message))
    return `The disk of ${data} is full. Free some space and start again. No data is lost.`;
  if (/malformed|not a database/.test(message))
    return `${data}/listbackup.db is damaged. Restore the data folder from a copy, or name another one in LISTBACKUP_DATA.`;
  if (code?.startsWith('ERR_PARSE_ARGS')) return optionError(message, 'npm start -- --help');
  return message;
}
