/** `get`: downloads a file, or a folder as a zip. */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type Api, answered } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { type Address, downloadThrough, downloadTo, type Progress } from '../download.ts';
import { findLocation, quoted } from '../naming.ts';
import { bytes, json, line, note, printable } from '../output.ts';
import { pathText } from '../path-text.ts';
import { exitCodes, fromServer, refusal } from '../refusal.ts';
import { fileAt, incompleteNote, inUtf8, isFileId, locationHelp, parentOf } from './files.ts';
import { wholeNumber } from './runs.ts';
import { parseTime } from './when.ts';

const pollEveryMs = 500;

type Options = { output?: string; version?: number; asOf?: string; force?: boolean };

export function addGetCommand(program: Command): void {
  program
    .command('get')
    .argument('<path>', 'file or folder in the backup, or the id of a file')
    .summary('get a file, or a folder as a zip')
    .description(
      'Downloads a file, or a folder as a zip. It continues an interrupted download, and verifies a file before it gets its name.',
    )
    .option(
      '-o, --output <path>',
      'file or folder to write to, or - for standard output (default: current folder, same name). Creates missing folders',
    )
    .option('--as-of <time>', 'as backed up at this time, for example 2026-01-31 or 2026-01-31T12:00:00Z', parseTime)
    .addOption(
      new Option('--version <n>', 'version of the file, as listed by `listbackup versions`')
        .argParser(wholeNumber)
        .conflicts('asOf'),
    )
    .option('--force', 'replace an existing file')
    .addHelpText('after', locationHelp)
    .action(async (where: string, options: Options, command: Command) => {
      const api = await signedIn(command);
      const { address, name, lacks = '' } = await resolveDownload(api, where, options);
      if (lacks !== '') {
        note(`The zip may lack files.${lacks}`);
        process.exitCode = exitCodes.partial;
      }
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

/** `name` is undefined for a file that is given by its id. `lacks` says why a zip may lack files. */
type Download = { address: Address; name: string | undefined; lacks?: string };

async function resolveDownload(api: Api, where: string, { asOf, version }: Options): Promise<Download> {
  if (isFileId(where)) {
    if (asOf !== undefined)
      throw refusal(
        'usage',
        '--as-of does not work with a file id',
        'Use --version with the id, or a path with --as-of.',
        exitCodes.usage,
      );
    return { address: fileAddress(api, where, version), name: undefined };
  }
  const location = await findLocation(api, where);
  const file = await fileAt(api, location, asOf);
  const { source, called, path } = location;
  if (file !== 'folder' && file.kind === 'link')
    throw refusal(
      'is-link',
      `\`${pathText(path)}\` is a link and has no content`,
      `Get it in the zip of its folder with \`listbackup get ${quoted(`${called}:${pathText(parentOf(path))}`)}\`.`,
    );
  if (file !== 'folder')
    return { address: fileAddress(api, file.id, version ?? (asOf && file.versions)), name: file.name };
  if (version !== undefined)
    throw refusal(
      'is-folder',
      `${where} is a folder`,
      'Only files have versions. Use --as-of for a folder.',
      exitCodes.usage,
    );
  if (!path.isWellFormed())
    throw refusal(
      'not-utf-8',
      `The path \`${pathText(path)}\` is not UTF-8`,
      `Get it in the zip of a folder above it with \`listbackup get ${quoted(`${called}:${pathText(inUtf8(path))}`)}\`.`,
    );
  const lacks = await incompleteNote(api, location, asOf);
  const name = `${basename(path.toWellFormed()) || source.name}.zip`;
  return { address: await zipAddress(api, source.id, path, asOf), name, lacks };
}

function fileAddress(api: Api, fileId: string, version: number | '' | undefined): Address {
  return async () => {
    const answer = await answered(api.POST('/data/download', { body: { fileId, ...(version ? { version } : {}) } }));
    return 'url' in answer ? answer : prepared(api, answer.id);
  };
}

/** Asks the server to prepare a zip. The returned function waits for it and returns its address. */
async function zipAddress(api: Api, sourceId: string, path: string, asOf: string | undefined): Promise<Address> {
  const { id } = (await answered(
    api.POST('/data/download', { body: { sourceId, paths: [path], ...(asOf && { asOf }) } }),
  )) as {
    id: string;
  };
  return () => prepared(api, id);
}

/** Waits for a prepared download. Returns its address. */
async function prepared(api: Api, id: string): ReturnType<Address> {
  for (;;) {
    const found = await answered(api.GET('/data/downloads/{id}', { params: { path: { id } } }));
    const { url, size, sha256 } = found;
    if (url !== undefined) return { url, ...(size !== undefined && { size }), ...(sha256 !== undefined && { sha256 }) };
    if (found.status === 'failed') {
      const { code, message } = found.error ?? { code: 'download-failed', message: 'Run the command again.' };
      throw fromServer({ code, title: 'The server could not prepare the download', detail: message }, '');
    }
    await pause(pollEveryMs);
  }
}

async function targetFor(name: string | undefined, { output = '.', force }: Options): Promise<string> {
  const isFolder = await stat(output).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const inside = isFolder || output.endsWith('/');
  if (inside && name === undefined)
    throw refusal('no-name', 'A file id has no name', 'Name the target file with -o <path>.', exitCodes.usage);
  // `basename`, because a name from a backup must not lead out of the folder.
  const target = inside ? join(output, basename(name ?? '') || 'file') : output;
  const taken = await stat(target).then(
    () => true,
    () => false,
  );
  if (taken && !force) {
    throw refusal(
      'exists',
      `${target} exists already`,
      'Use another path with -o, or replace it with --force.',
      exitCodes.failed,
    );
  }
  return target;
}

async function toStandardOutput(chunk: Uint8Array): Promise<void> {
  if (!process.stdout.write(chunk)) await once(process.stdout, 'drain');
}

/** Overwrites one line of the terminal. Prints nothing if standard error is not a terminal. */
function progressBar(): Progress {
  if (!process.stderr.isTTY) return () => {};
  return (received, size) => {
    const of = size ? ` of ${bytes(size)}, ${Math.floor((received * 100) / size)}%` : '';
    process.stderr.write(`\r${bytes(received)}${of}\u001b[K`);
  };
}
