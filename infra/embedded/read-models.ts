/**
 * `npm run read-models`: runs admin commands on the read models of a stopped data folder. On AWS operators send the
 * same commands to the projections function. A running server maintains its read models itself.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type AdminCommand, handleAdminCommand } from '../../projections/engine/admin-commands.ts';
import type { Parked, Unparked } from '../../projections/engine/parking.ts';
import type { Projection } from '../../projections/engine/projection.ts';
import { type RebuildOutcome, rebuild } from '../../projections/engine/rebuild.ts';
import { projections as all } from '../../projections/index.ts';
import { type BucketBlobs, openBucket, requireSameBucket } from './bucket.ts';
import { databaseFile } from './database.ts';
import { openLog } from './log.ts';
import { type Embedded, openEmbedded } from './platform.ts';
import { optionError, readSettings } from './settings.ts';

type Environment = { [name: string]: string | undefined };

/** 0: done and nothing is parked. 1: a stream is parked or a rebuild did not finish. 2: the command failed. */
export type ExitCode = 0 | 1 | 2;

const usage = `Usage: npm run read-models -- COMMAND [--data DIR] [--json]

Shows and repairs the read models of a data folder. Stop ListBackup first.
A start of ListBackup also retries parked streams and continues a rebuild.

  parked [NAME]           list parked streams, all or of one read model
  unpark [NAME [STREAM]]  retry parked streams: all, of one read model,
                          or one stream
  rebuild [NAME]          rebuild all read models, or one, from the event store

  --data DIR              the data folder
                          (default: LISTBACKUP_DATA, else .listbackup)
  --json                  print one JSON document
  -h, --help              print this help

Exit code: 0 done and nothing is parked, 1 a stream is parked or a rebuild did
not finish, 2 the command failed.`;

class UsageError extends Error {}

/** Runs the command with these arguments, prints its result and returns the exit code. */
export async function runReadModels(
  args: string[],
  env: Environment = process.env,
  projections = all,
): Promise<ExitCode> {
  let embedded: Embedded | undefined;
  let bucket: BucketBlobs | undefined;
  try {
    const { words, json, help, data, blobs, logLevel } = readOptions(args, env);
    if (help) {
      console.log(usage);
      return 0;
    }
    const execute = parseCommand(words, projections);
    if (!(await stat(join(data, databaseFile)).catch(() => undefined)))
      throw new UsageError(`${data} is not a data folder of ListBackup. Name the data folder with --data.`);
    await requireSameBucket(data, blobs);
    bucket = blobs && (await openBucket(blobs));
    embedded = await openEmbedded({
      data,
      log: openLog(logLevel ?? 'silent'),
      routes: [],
      ...(bucket && { blobs: bucket.blobs }),
    });
    const { result, lines, code } = await execute(embedded);
    console.log(json ? JSON.stringify(result) : lines.join('\n'));
    return code;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    if (error instanceof UsageError) console.error(message);
    else if (code?.startsWith('ERR_PARSE_ARGS')) console.error(optionError(message, 'npm run read-models -- --help'));
    else console.error(`The command failed: ${message}`);
    return 2;
  } finally {
    await embedded?.close();
    bucket?.close();
  }
}

function readOptions(args: string[], env: Environment) {
  const { values, positionals: words } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      data: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const settings = readSettings([], values.data === undefined ? env : { ...env, LISTBACKUP_DATA: values.data });
  const { data, blobs, logLevel } = settings;
  return { words, json: values.json, help: values.help, data, blobs, logLevel };
}

type Outcome = { result: object; lines: string[]; code: ExitCode };

/** Returns the command to run once the data folder is open. Throws UsageError. */
function parseCommand(words: string[], projections: Projection[]): (embedded: Embedded) => Promise<Outcome> {
  const [command, name, stream, ...more] = words;
  const known = projections.map((projection) => projection.name);
  const chosen = projections.filter((projection) => name === undefined || projection.name === name);
  if (chosen.length === 0) throw new UsageError(`Read model ${name} does not exist. Use one of ${known.join(', ')}.`);
  const hasTooMany = more.length > 0 || (stream !== undefined && command !== 'unpark');
  if (hasTooMany) throw new UsageError(`Too many arguments for ${command}. See npm run read-models -- --help.`);
  switch (command) {
    case 'parked':
      return (embedded) => parked(embedded, chosen, name);
    case 'unpark':
      return (embedded) => unpark(embedded, chosen, stream);
    case 'rebuild':
      return (embedded) => rebuildAll(embedded, chosen);
    default:
      throw new UsageError(
        `${command === undefined ? 'A command is missing.' : `Unknown command ${command}.`}\n\n${usage}`,
      );
  }
}

async function parked(
  { platform }: Embedded,
  projections: Projection[],
  projection: string | undefined,
): Promise<Outcome> {
  const command: AdminCommand = { parked: projection === undefined ? {} : { projection } };
  const result = (await handleAdminCommand(platform, projections, command)) as { items: Parked[]; more: boolean };
  const lines = result.items.map(({ projection, stream, version, fault, since, rebuilding }) =>
    [
      projection,
      stream,
      `version ${version}`,
      fault,
      `since ${since}`,
      ...(rebuilding ? ['(in its rebuild)'] : []),
    ].join('  '),
  );
  if (result.more) lines.push('… and more. Use --json, or name a read model.');
  return { result, lines: lines.length > 0 ? lines : ['No stream is parked.'], code: lines.length > 0 ? 1 : 0 };
}

async function unpark({ platform }: Embedded, projections: Projection[], stream: string | undefined): Promise<Outcome> {
  const counts: Unparked = { healed: 0, parked: 0 };
  for (const { name: projection } of projections) {
    const command: AdminCommand = { unpark: { projection, ...(stream === undefined ? {} : { stream }) } };
    const { healed, parked } = (await handleAdminCommand(platform, projections, command)) as Unparked;
    counts.healed += healed;
    counts.parked += parked;
  }
  const lines = [`Unparked: ${counts.healed}. Still parked: ${counts.parked}.`];
  if (counts.parked > 0)
    lines.push('The parked streams failed again. See why with `parked`, then install a version that fixes the cause.');
  return { result: counts, lines, code: counts.parked > 0 ? 1 : 0 };
}

const outcomes: { [outcome in RebuildOutcome]: string } = {
  rebuilt: 'rebuilt',
  held: 'not switched: the rebuild fails at an event that the current rows include. The current rows stay in use.',
  stopped: 'interrupted: the next start continues it',
  superseded: 'not rebuilt: another version of ListBackup rebuilds it',
};

async function rebuildAll({ platform }: Embedded, projections: Projection[]): Promise<Outcome> {
  const result: { [projection: string]: RebuildOutcome } = {};
  for (const projection of projections) result[projection.name] = await rebuild(platform, projection);
  const lines = Object.entries(result).map(([name, outcome]) => `${name}  ${outcomes[outcome]}`);
  return { result, lines, code: Object.values(result).every((outcome) => outcome === 'rebuilt') ? 0 : 1 };
}

if (import.meta.main) process.exitCode = await runReadModels(process.argv.slice(2));
