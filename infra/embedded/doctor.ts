/**
 * `npm run doctor` and `listbackup doctor`: checks a data folder of the embedded home (or a copy of one) and says what is wrong.
 * Changes nothing.
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
import { readSettings } from './settings.ts';

/** 0: nothing is wrong, 1: something is, 2: it could not be checked. */
export type ExitCode = 0 | 1 | 2;

export const usage = `Usage: listbackup doctor [--data DIR] [--read-data] [--sources] [--json]

  --data DIR    the data folder, or a copy of one (default: LISTBACKUP_DATA, else .listbackup)
  --read-data   reads and decrypts all that was ever backed up
  --sources     compares the newest backups with their sources, which should not have changed since
  --json        one JSON document a line: each finding, then the summary

It changes nothing, and needs ListBackup stopped. It ends with 0 when nothing is wrong, 1 when something is, 2 when it could not check.`;

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
    const { data, blobs } = options;
    await requireSameBucket(data, blobs);
    bucket = blobs && (await openBucket(blobs));
    deployment = await openReadOnly(data, openLog(env.LISTBACKUP_LOG_LEVEL ?? 'silent'), bucket ?? {});
    return await examine(deployment, options);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    if (!isDamage(error)) {
      console.error(
        error instanceof Unopenable || code?.startsWith('ERR_PARSE_ARGS')
          ? message
          : `It could not be checked: ${message}`,
      );
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
  const { data, blobs, allowHosts } = settings;
  return {
    data,
    blobs,
    allowHosts,
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
  const tell = (finding: Finding) => {
    addFinding(report, finding);
    if (json) console.log(JSON.stringify({ type: 'finding', ...finding }));
  };
  const folders = { roots: 'any', never: [data] } as const;
  const deployment: Deployment = { platform, connectors: () => ({ allowHosts, folders }), prices: free };
  try {
    for (const finding of findings()) tell(finding);
    const all = checkEverything(platform, { isAwaited, readData, count, ...(sources && { deployment }) });
    for await (const finding of all) tell(finding);
  } catch (error) {
    if (!isDamage(error)) throw error;
    tell(failure('database', databaseFile, (error as Error).message));
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

/** What SQLite says of a file that is not as it left it. */
function isDamage(error: unknown): boolean {
  const [corrupt, notADatabase] = [11, 26];
  const { errcode } = error as { errcode?: number };
  return errcode !== undefined && [corrupt, notADatabase].includes(errcode & 0xff);
}

/** One line on a terminal, written over itself twice a second. */
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

if (import.meta.main) process.exitCode = await runDoctor(process.argv.slice(2));
