/** Getting things back: one file, or a folder as a zip. */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type Api, answered } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { type Address, downloadThrough, downloadTo, type Progress } from '../download.ts';
import { findLocation } from '../naming.ts';
import { bytes, json, line, printable } from '../output.ts';
import { exitCodes, refusal } from '../refusal.ts';
import { fileAt, isFileId, locationHelp } from './files.ts';
import { wholeNumber } from './runs.ts';
import { parseTime } from './when.ts';

const lookEvery = 500;

type Options = { output?: string; version?: number; asOf?: string; force?: boolean };

export function addGetCommand(program: Command): void {
  program
    .command('get')
    .argument('<path>', 'a file or a folder in the backup, or the id of a file')
    .summary('get a file back, or a folder as a zip')
    .description(
      'Gets a file back, or a folder as a zip. A download that broke off goes on where it was, and what arrives is verified before it gets its name.',
    )
    .option(
      '-o, --output <path>',
      'where to: a file, a folder, or - for standard output (default: here, under its own name)',
    )
    .option('--as-of <time>', 'as it was at this time, like 2026-01-31 or 2026-01-31T12:00:00Z', parseTime)
    .addOption(
      new Option('--version <n>', 'this version of it, as `listbackup versions` shows them')
        .argParser(wholeNumber)
        .conflicts('asOf'),
    )
    .option('--force', 'replace a file that is there')
    .addHelpText('after', locationHelp)
    .action(async (where: string, options: Options, command: Command) => {
      const api = await signedIn(command);
      const { address, name } = await whatToGet(api, where, options);
      if (options.output === '-') return downloadThrough(toStandardOutput, address);
      const target = await targetFor(name, options);
      let size = 0;
      const bar = progressBar();
      await downloadTo(target, address, (received, whole) => {
        size = received;
        bar(received, whole);
      }).finally(() => process.stderr.isTTY && process.stderr.write('\r\u001b[K'));
      return wantsJson(command) ? json({ path: target, size }) : line(`${printable(target)}  ${bytes(size)}`);
    });
}

type Wanted = { address: Address; name: string | undefined };

async function whatToGet(api: Api, where: string, { asOf, version }: Options): Promise<Wanted> {
  if (isFileId(where)) {
    if (asOf !== undefined)
      throw refusal(
        'usage',
        'An id has no path',
        'Give --version with an id, or a path with --as-of.',
        exitCodes.usage,
      );
    return { address: fileAddress(api, where, version), name: undefined };
  }
  const location = await findLocation(api, where);
  const file = await fileAt(api, location, asOf);
  if (file !== 'folder')
    return { address: fileAddress(api, file.id, version ?? (asOf && file.versions)), name: file.name };
  if (version !== undefined)
    throw refusal('is-folder', `${where} is a folder`, 'Only files have versions. Use --as-of.', exitCodes.usage);
  const { source, path } = location;
  return { address: await zipAddress(api, source.id, path, asOf), name: `${basename(path) || source.name}.zip` };
}

function fileAddress(api: Api, fileId: string, version: number | '' | undefined): Address {
  return async () => {
    const answer = await answered(api.POST('/data/download', { body: { fileId, ...(version ? { version } : {}) } }));
    if (!('url' in answer)) throw new TypeError('a file was asked for, and a zip is prepared');
    return answer;
  };
}

/** Has the zip prepared; each address after that is of the same. */
async function zipAddress(api: Api, sourceId: string, path: string, asOf: string | undefined): Promise<Address> {
  const { id } = (await answered(
    api.POST('/data/download', { body: { sourceId, paths: [path], ...(asOf && { asOf }) } }),
  )) as {
    id: string;
  };
  return async () => {
    for (;;) {
      const zip = await answered(api.GET('/data/downloads/{id}', { params: { path: { id } } }));
      if (zip.url !== undefined) return { url: zip.url };
      if (zip.status === 'failed') {
        throw refusal(
          zip.error?.code ?? 'zip-failed',
          'The zip was not made',
          zip.error?.message ?? 'Run the command again.',
        );
      }
      await pause(lookEvery);
    }
  };
}

async function targetFor(name: string | undefined, { output = '.', force }: Options): Promise<string> {
  const isFolder = await stat(output).then(
    (found) => found.isDirectory(),
    () => false,
  );
  // a name out of a backup must not lead elsewhere
  const inside = isFolder || output.endsWith('/');
  if (inside && name === undefined)
    throw refusal('no-name', 'An id has no name', 'Say what to call the file with -o.', exitCodes.usage);
  const target = inside ? join(output, basename(name ?? '') || 'file') : output;
  const taken = await stat(target).then(
    () => true,
    () => false,
  );
  if (taken && !force) {
    throw refusal(
      'exists',
      `${target} is there already`,
      'Give another path with -o, or --force to replace it.',
      exitCodes.failed,
    );
  }
  return target;
}

async function toStandardOutput(chunk: Uint8Array): Promise<void> {
  if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
}

/** On a terminal one line that is written over; elsewhere nothing. */
function progressBar(): Progress {
  if (!process.stderr.isTTY) return () => {};
  return (received, size) => {
    const of = size ? ` of ${bytes(size)}, ${Math.floor((received * 100) / size)}%` : '';
    process.stderr.write(`\r${bytes(received)}${of}\u001b[K`);
  };
}
