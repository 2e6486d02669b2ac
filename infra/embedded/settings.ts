/** Settings of `npm start`: environment variables and command line options. */
import { isIPv6 } from 'node:net';
import { delimiter, isAbsolute, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readGraceDays } from '../key-ring.ts';
import { type Bucket, parseBucket } from './bucket.ts';
import { type LogLevel, logLevelList, logLevels } from './log.ts';

export type Settings = {
  host: string;
  port: number;
  /** Absolute. */
  data: string;
  /** The bucket of the blobs. Undefined: the blobs are in the data folder. */
  blobs: Bucket | undefined;
  /** How many days the destruction of a key can be taken back. */
  graceDays: number;
  /** Multiplies the rate limits. 0 turns them off. */
  rateScale: number;
  /** Private hosts that sources may use. */
  allowHosts: string[];
  /** Absolute paths. Folders that every account may back up. */
  folders: string[];
  /** Host names besides HOST and localhost that clients may use. Lower case. */
  hostNames: string[];
  /** Undefined: the default of the program. */
  logLevel: LogLevel | undefined;
  reset: boolean;
  demo: boolean;
  json: boolean;
  help: boolean;
};

export const startUsage = `Usage: npm start -- [options]

Starts the self-hosted ListBackup server.

  --demo      create a demo account with three runs
  --reset     delete everything in the data folder first
  --json      also print the addresses as one line of JSON
  -h, --help  print this help

Environment variables:
  HOST                    address to listen on (default: 127.0.0.1)
  PORT                    port to listen on (default: 4000, 0: any free port)
  LISTBACKUP_DATA         data folder (default: .listbackup)
  LISTBACKUP_BLOBS        s3://bucket or s3://bucket/prefix to store backups in
                          a bucket (default: in the data folder)
  LISTBACKUP_FOLDERS      absolute paths of folders that every account may back
                          up, separated by "${delimiter}" (the first account may back up
                          every folder)
  LISTBACKUP_ALLOW_HOSTS  private hosts that sources may use, separated by ","
  LISTBACKUP_HOSTNAMES    further host names by which clients call this server,
                          separated by ","
  LISTBACKUP_RATE_LIMIT   multiplies the rate limits (default: 1, 0: no limits)
  LISTBACKUP_GRACE_DAYS   days in which the destruction of a key can be taken
                          back (default: 7)
  LISTBACKUP_LOG_LEVEL    ${logLevelList}
                          (default: warn)`;

/** Reads the settings. The Error for a wrong setting says how to correct it. */
export function readSettings(args: string[], env: { [name: string]: string | undefined }): Settings {
  const { values } = parseArgs({
    args,
    options: {
      reset: { type: 'boolean', default: false },
      demo: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  return {
    host: env.HOST || '127.0.0.1',
    port: wholeNumber('PORT', env.PORT, 4000, 65_535),
    data: resolve(env.LISTBACKUP_DATA || '.listbackup'),
    blobs: parseBucket(env),
    graceDays: readGraceDays(env),
    rateScale: rate(env.LISTBACKUP_RATE_LIMIT),
    allowHosts: list(env.LISTBACKUP_ALLOW_HOSTS, ',').map(allowedHost),
    folders: list(env.LISTBACKUP_FOLDERS, delimiter).map(absolute),
    hostNames: list(env.LISTBACKUP_HOSTNAMES, ',').map(hostName),
    logLevel: readLogLevel(env.LISTBACKUP_LOG_LEVEL),
    ...values,
  };
}

/** Shortens Node's message about wrong command line options and adds where to look. */
export function optionError(message: string, help: string): string {
  return `${message.split('. ')[0]?.replace(/\.$/, '')}. See ${help}.`;
}

function absolute(folder: string): string {
  if (!isAbsolute(folder)) throw new Error(`LISTBACKUP_FOLDERS must hold absolute paths, not ${folder}.`);
  return resolve(folder);
}

/** A name or an IP address. An IPv6 address is in brackets. */
const host = String.raw`([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])`;

function allowedHost(text: string): string {
  if (!isIPv6(text) && !new RegExp(`^${host}(:[0-9]{1,5})?$`).test(text))
    throw new Error(`LISTBACKUP_ALLOW_HOSTS must hold host or host:port, separated by ",", not ${text}.`);
  return text;
}

function hostName(text: string): string {
  if (!new RegExp(`^${host}$`).test(text))
    throw new Error(
      `LISTBACKUP_HOSTNAMES must hold host names without scheme and port, separated by ",", not ${text}.`,
    );
  return text.toLowerCase();
}

function readLogLevel(text: string | undefined): LogLevel | undefined {
  if (!text) return undefined;
  const level = logLevels.find((name) => name === text);
  if (!level) throw new Error(`LISTBACKUP_LOG_LEVEL must be one of ${logLevelList}, not ${text}.`);
  return level;
}

function list(text: string | undefined, separator: string): string[] {
  return (text ?? '')
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function wholeNumber(name: string, text: string | undefined, byDefault: number, max: number): number {
  if (!text) return byDefault;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > max)
    throw new Error(`${name} must be a whole number from 0 to ${max}, not ${text}.`);
  return number;
}

function rate(text: string | undefined): number {
  if (!text) return 1;
  if (!/^\d+(\.\d+)?$/.test(text))
    throw new Error(`LISTBACKUP_RATE_LIMIT must be a number, or 0 for no limits, not ${text}.`);
  return Number(text);
}
