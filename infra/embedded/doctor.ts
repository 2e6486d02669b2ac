/**
 * `npm run doctor` and `listbackup doctor`: checks a data folder of the self-hosted deployment, or a copy of it.
 * Reports findings and changes nothing.
 */
import { parseArgs } from 'node:util';
import { checkEverything } from '../../doctor/check-everything.ts';
import { type Finding, failure } from '../../doctor/finding.ts';
import { addFinding, counts, failuresIn, newReport, renderReport } from '../../doctor/report.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { free } from '../../processors/meter.ts';
import { type BucketBlobs, openBucket, requireSameBucket } from './bucket.ts';
import { databaseFile } from './database.ts';
import { openLog } from './log.ts';
import { openReadOnly, type ReadOnlyDeployment, Unopenable } from './read-only.ts';
import { optionError, readSettings } from './settings.ts';

/** 0: no failures. 1: failures found. 2: the check could not run. */
export type ExitCode = 0 | 1 | 2;

const usage = `Usage: npm run doctor -- [options]

Checks a data folder for damaged, lost or left-over data. Changes nothing.
Stop ListBackup first, or check a copy of the folder.

  --data DIR    the data folder or a copy of it
                (default: LISTBACKUP_DATA, else .listbackup)
  --read-data   also read and decrypt all backed-up content
  --sources     also compare the newest backups with their sources;
                a file that changed since its backup counts as a failure
  --json        print one JSON document per line: each finding, then a summary
  -h, --help    print this help

Exit code: 0 no failures, 1 failures found, 2 the check could not run.`;

/** Runs the doctor with these command line arguments, prints the report and returns the exit code. */
export async function runDoctor(
  args: string[],
  env: { [name: string]: string | undefined } = process.env,
): Promise<ExitCode> {
  let deployment: ReadOnlyDeployment | undefined;
  let bucket: BucketBlobs | undefined;
  try {
    const options = readOptions(args, env);
    if (options.help) {
      console.log(usage);
      return 0;
    }
    const { data, blobs, logLevel } = options;
    await requireSameBucket(data, blobs);
    bucket = blobs && (await openBucket(blobs));
    deployment = await openReadOnly(data, openLog(logLevel ?? 'silent'), bucket ?? {});
    return await examine(deployment, options);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    if (!isDamage(error)) {
      if (error instanceof Unopenable) console.error(message);
      else if (code?.startsWith('ERR_PARSE_ARGS')) console.error(optionError(message, 'npm run doctor -- --help'));
      else console.error(`The check could not run: ${message}`);
      return 2;
    }
    console.error(`FAILURE: the database\n  ${databaseFile}: ${message}\n  → Restore the data folder from a copy.`);
    return 1;
  } finally {
    await deployment?.close();
    bucket?.close();
  }
}

type Options = ReturnType<typeof readOptions>;

function readOptions(args: string[], env: { [name: string]: string | undefined }) {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: 'string' },
      'read-data': { type: 'boolean', default: false },
      sources: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const settings = readSettings([], values.data === undefined ? env : { ...env, LISTBACKUP_DATA: values.data });
  const { data, blobs, allowHosts, logLevel } = settings;
  return {
    data,
    blobs,
    allowHosts,
    logLevel,
    readData: values['read-data'],
    sources: values.sources,
    json: values.json,
    help: values.help,
  };
}

async function examine(
  opened: ReadOnlyDeployment,
  { data, allowHosts, readData, sources, json }: Options,
): Promise<ExitCode> {
  const { platform, isAwaited, findings } = opened;
  const report = newReport();
  const show = progress(json);
  const count = (what: Finding['what'], many = 1) => {
    report.checked.set(what, (report.checked.get(what) ?? 0) + many);
    show(() => counts(report));
  };
  const emit = (finding: Finding) => {
    addFinding(report, finding);
    if (json) console.log(JSON.stringify({ type: 'finding', ...finding }));
  };
  const folders = { roots: 'any', never: [data] } as const;
  const deployment: Deployment = { platform, connectors: () => ({ allowHosts, folders }), prices: free };
  try {
    for (const finding of findings()) emit(finding);
    const all = checkEverything(platform, { isAwaited, readData, count, ...(sources && { deployment }) });
    for await (const finding of all) emit(finding);
  } catch (error) {
    if (!isDamage(error)) throw error;
    emit(failure('database', databaseFile, (error as Error).message));
  }
  if (process.stderr.isTTY && !json) process.stderr.write('\r\x1b[K');
  const failures = failuresIn(report);
  if (json)
    console.log(
      JSON.stringify({ type: 'summary', data, readData, checked: Object.fromEntries(report.checked), failures }),
    );
  else console.log(renderReport(report, { data, readData }));
  return failures > 0 ? 1 : 0;
}

/** Returns whether SQLite reports a damaged database file. */
function isDamage(error: unknown): boolean {
  const [corrupt, notADatabase] = [11, 26];
  const { errcode } = error as { errcode?: number };
  return errcode !== undefined && [corrupt, notADatabase].includes(errcode & 0xff);
}

/** Overwrites one line of the terminal at most twice a second. Prints nothing if standard error is not a terminal. */
function progress(json: boolean): (text: () => string) => void {
  if (json || !process.stderr.isTTY) return () => {};
  let last = 0;
  return (text) => {
    const now = performance.now();
    if (now - last < 500) return;
    last = now;
    const line = text();
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
  };
}

if (import.meta.main) {
  // A reader such as `head` closes the pipe when it needs no more. Then the check is not complete.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(2);
    });
  process.exitCode = await runDoctor(process.argv.slice(2));
}
