/** What the person who starts the box says: environment variables and a few words on the command line. */
import { delimiter, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Bucket, parseBucket } from './bucket.ts';

export type Settings = {
  host: string;
  port: number;
  /** Absolute. */
  data: string;
  /** Where the blobs are, when that is not the data folder. */
  blobs: Bucket | undefined;
  /** Multiplies the rate limits; 0: none. */
  rateScale: number;
  /** Hosts that sources may be on although they are private. */
  allowHosts: string[];
  /** Folders that any account may back up. */
  folders: string[];
  /** Names besides this machine's own by which clients may call it. */
  hostNames: string[];
  reset: boolean;
  demo: boolean;
  json: boolean;
};

/** Throws an Error that says what to correct. */
export function readSettings(args: string[], env: { [name: string]: string | undefined }): Settings {
  const { values } = parseArgs({
    args,
    options: {
      reset: { type: 'boolean', default: false },
      demo: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    host: env.HOST || '127.0.0.1',
    port: wholeNumber('PORT', env.PORT, 4000, 65_535),
    data: resolve(env.LISTBACKUP_DATA || '.listbackup'),
    blobs: parseBucket(env),
    rateScale: rate(env.LISTBACKUP_RATE_LIMIT),
    allowHosts: list(env.LISTBACKUP_ALLOW_HOSTS, ','),
    folders: list(env.LISTBACKUP_FOLDERS, delimiter).map((folder) => resolve(folder)),
    hostNames: list(env.LISTBACKUP_HOSTNAMES, ',').map((name) => name.toLowerCase()),
    ...values,
  };
}

function list(text: string | undefined, separator: string): string[] {
  return (text ?? '')
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function wholeNumber(name: string, text: string | undefined, otherwise: number, most: number): number {
  if (!text) return otherwise;
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > most)
    throw new Error(`${name} must be a whole number from 0 to ${most}, not ${text}.`);
  return number;
}

function rate(text: string | undefined): number {
  const scale = Number(text || 1);
  if (!(scale >= 0)) throw new Error(`LISTBACKUP_RATE_LIMIT must be a number, 0 for no limits, not ${text}.`);
  return scale;
}
