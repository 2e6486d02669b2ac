/** Why it did not start, in a line that says what to do. */
import type { Settings } from './settings.ts';

export function describeStartError(error: unknown, settings?: Pick<Settings, 'data' | 'host' | 'port'>): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const { data = 'the data folder', host, port } = settings ?? {};
  if (code === 'EADDRINUSE')
    return `Port ${port} is taken. End what uses it, or choose another: PORT=${(port ?? 4000) + 1} npm start`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `HOST=${host} is no address of this machine. Leave HOST out for 127.0.0.1.`;
  if (code === 'EACCES' && port !== undefined && port < 1024)
    return `Port ${port} needs privileges. Choose one from 1024 up: PORT=4000 npm start`;
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return `${data} cannot be written. Make it writable, or take another folder: LISTBACKUP_DATA`;
  if (code === 'storage-full' || code === 'ENOSPC' || code === 'EDQUOT' || /disk is full/.test(message))
    return `The disk of ${data} is full. Free some space and start again; nothing is lost.`;
  if (/malformed|not a database/.test(message))
    return `${data}/listbackup.db is damaged. Put back a copy of the data folder, or take another one: LISTBACKUP_DATA`;
  return message;
}
