/**
 * `npm run read-models`: what operators may ask of the read models of a data folder, as they send it to the function of the projections on AWS.
 * A running home does the like by itself, at its start and once an hour, so this is for one that is stopped.
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
import { readSettings } from './settings.ts';

type Environment = { [name: string]: string | undefined };

/** 0: done, 1: something stands still (again), 2: it could not be done. */
export type ExitCode = 0 | 1 | 2;

const usage = `Usage: npm run read-models -- COMMAND [--data DIR] [--json]

  parked [NAME]           where read models stand still because of a commit, since when and why
  unpark [NAME [STREAM]]  lets them go on there: all of them, those of one read model, or it at one stream
  rebuild [NAME]          makes all of them, or one, anew from the log

  --data DIR              the data folder (default: LISTBACKUP_DATA, else .listbackup)
  --json                  one JSON document

It needs ListBackup stopped; a start tries again what stands still, and goes on with a rebuild that was cut off.
It ends with 0 when it is done and nothing stands still there, 1 when something does, 2 when it could not be done.`;

class Misunderstood extends Error {}

/** All of it, words and exit code, for these arguments. */
export async function runReadModels(
  args: string[],
  env: Environment = process.env,
  projections = all,
): Promise<ExitCode> {
  let embedded: Embedded | undefined;
  let bucket: BucketBlobs | undefined;
  try {
    const { words, json, help, data, blobs } = readOptions(args, env);
    if (help) {
      console.log(usage);
      return 0;
    }
    const work = understood(words, projections);
    if (!(await stat(join(data, databaseFile)).catch(() => undefined)))
      throw new Misunderstood(`${data} is no data folder of ListBackup: say which one with --data.`);
    await requireSameBucket(data, blobs);
    bucket = blobs && (await openBucket(blobs));
    embedded = await openEmbedded({
      data,
      log: openLog(env.LISTBACKUP_LOG_LEVEL ?? 'silent'),
      routes: [],
      ...(bucket && { blobs: bucket.blobs }),
    });
    const { result, lines, code } = await work(embedded);
    console.log(json ? JSON.stringify(result) : lines.join('\n'));
    return code;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const own = error instanceof Misunderstood || code?.startsWith('ERR_PARSE_ARGS');
    console.error(own ? message : `It could not be done: ${message}`);
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
  const { data, blobs } = readSettings([], values.data === undefined ? env : { ...env, LISTBACKUP_DATA: values.data });
  return { words, json: values.json, help: values.help, data, blobs };
}

type Done = { result: object; lines: string[]; code: ExitCode };

/** What is to be done, once the data folder is open. */
function understood(words: string[], projections: Projection[]): (embedded: Embedded) => Promise<Done> {
  const [command, name, stream, ...more] = words;
  const known = projections.map((each) => each.name);
  const chosen = projections.filter((each) => name === undefined || each.name === name);
  if (chosen.length === 0) throw new Misunderstood(`There is no read model ${name}, but ${known.join(', ')}.`);
  const isTooMany = more.length > 0 || (stream !== undefined && command !== 'unpark');
  if (isTooMany) throw new Misunderstood(`That is too much for ${command}. Add --help to see how it is used.`);
  switch (command) {
    case 'parked':
      return (embedded) => parked(embedded, chosen, name);
    case 'unpark':
      return (embedded) => unpark(embedded, chosen, stream);
    case 'rebuild':
      return (embedded) => rebuildAll(embedded, chosen);
    default:
      throw new Misunderstood(usage);
  }
}

async function parked(
  { platform }: Embedded,
  projections: Projection[],
  projection: string | undefined,
): Promise<Done> {
  const command: AdminCommand = { parked: projection === undefined ? {} : { projection } };
  const result = (await handleAdminCommand(platform, projections, command)) as { items: Parked[]; more: boolean };
  const lines = result.items.map(
    (each) =>
      `${each.projection}  ${each.stream}  version ${each.version}  ${each.fault}  since ${each.since}${each.rebuilding ? '  (in its rebuild)' : ''}`,
  );
  if (result.more) lines.push('… and more');
  return { result, lines: lines.length > 0 ? lines : ['Nothing stands still.'], code: lines.length > 0 ? 1 : 0 };
}

async function unpark({ platform }: Embedded, projections: Projection[], stream: string | undefined): Promise<Done> {
  const counts: Unparked = { healed: 0, parked: 0 };
  for (const { name: projection } of projections) {
    const command: AdminCommand = { unpark: { projection, ...(stream === undefined ? {} : { stream }) } };
    const { healed, parked } = (await handleAdminCommand(platform, projections, command)) as Unparked;
    counts.healed += healed;
    counts.parked += parked;
  }
  const lines = [`${counts.healed} went on, ${counts.parked} stand still.`];
  if (counts.parked > 0)
    lines.push(
      'What stands still meets the same fault again: `parked` tells which. A version that can take it is needed.',
    );
  return { result: counts, lines, code: counts.parked > 0 ? 1 : 0 };
}

const outcomes: { [outcome in RebuildOutcome]: string } = {
  flipped: 'made anew',
  held: 'not made anew: the fold fails where the one before did not, so the rows of before are still read',
  stopped: 'cut off',
  superseded: 'not made anew: another version was at it',
};

async function rebuildAll({ platform }: Embedded, projections: Projection[]): Promise<Done> {
  const result: { [projection: string]: RebuildOutcome } = {};
  for (const projection of projections) result[projection.name] = await rebuild(platform, projection);
  const lines = Object.entries(result).map(([name, outcome]) => `${name}  ${outcomes[outcome]}`);
  return { result, lines, code: Object.values(result).every((outcome) => outcome === 'flipped') ? 0 : 1 };
}

if (import.meta.main) process.exitCode = await runReadModels(process.argv.slice(2));
