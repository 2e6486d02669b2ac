/** Shows a run until it ends, and says how it ended. Ctrl+C ends the watching, not the run. */
import type { Api } from './client.ts';
import { follow, type Run } from './follow.ts';
import { bytes, json, line, note, printable, styled } from './output.ts';
import { barText, progressWords, type Seen, see } from './progress-bar.ts';
import { exitCodes } from './refusal.ts';

const firstFailures = 5;

/** Progress on standard error, the end on standard output; the exit code says how it ended. */
export async function watchRun(api: Api, runId: string, asJson: boolean): Promise<void> {
  const stop = new AbortController();
  // for good: it comes twice, from the terminal and from the launcher
  process.on('SIGINT', () => stop.abort());
  const show = asJson ? () => {} : process.stderr.isTTY ? showBar() : showLines();
  let seen: Seen | undefined;
  try {
    for await (const run of follow(api, runId, stop.signal)) {
      seen = see(seen, run, performance.now());
      show(seen);
    }
  } finally {
    if (!asJson && process.stderr.isTTY && seen) process.stderr.write('\r\u001b[K');
  }
  if (stop.signal.aborted) {
    note(
      `No longer following. The run goes on: \`listbackup runs follow ${runId}\`, or end it: \`listbackup runs cancel ${runId}\`.`,
    );
    process.exitCode = exitCodes.interrupted;
    return;
  }
  if (!seen) return;
  await (asJson ? json(seen.run) : showEnd(seen.run));
  process.exitCode = exitCodeOf(seen.run);
}

/** 0 when all is saved, 2 when some files failed, else 1. */
export function exitCodeOf({ status }: Run): number {
  return status === 'succeeded' ? exitCodes.succeeded : status === 'partial' ? exitCodes.partial : exitCodes.failed;
}

/** One line, over and over. */
function showBar(): (seen: Seen) => void {
  return (seen) => process.stderr.write(`\r${barText(seen, (process.stderr.columns ?? 80) - 1)}\u001b[K`);
}

/** For logs: a line when the status changes, and at every tenth of the way. */
function showLines(): (seen: Seen) => void {
  let last = '';
  return (seen) => {
    const { run, percent } = seen;
    const word =
      percent === null
        ? run.status === 'requested'
          ? 'waiting to begin'
          : 'planning'
        : `${Math.floor(percent / 10) * 10}%`;
    if (word === last) return;
    last = word;
    note(percent === null ? word : `${Math.floor(percent)}%  ${progressWords(seen)}`);
  };
}

const colours = { succeeded: 'green', partial: 'yellow', failed: 'red', cancelled: 'yellow' } as const;

/** The true counts, the first failures, and where the rest is. */
export async function showEnd(run: Run): Promise<void> {
  const { id, status, progress, errors, startedAt, finishedAt } = run;
  const { filesTotal, filesDone, filesUnchanged, filesDeleted, filesFailed, filesSkipped, bytesRead, bytesStored } =
    progress;
  const colour = colours[status as keyof typeof colours];
  const seconds = startedAt && finishedAt ? (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000 : undefined;
  const took = seconds === undefined ? '' : ` in ${duration(seconds)}`;
  await line(`${colour ? styled(process.stdout, colour, status) : status}${took}  ${id}`);
  const counts: [string, number][] = [
    ['saved', filesDone],
    ['unchanged', filesUnchanged],
    ['deleted', filesDeleted],
    ['failed', filesFailed],
    ['skipped', filesSkipped],
  ];
  const words = counts
    .filter(([word, count]) => count > 0 || word === 'saved')
    .map(([word, count]) => `${count} ${word}`);
  await line(`  ${filesTotal} files: ${words.join(', ')}`);
  await line(`  ${bytes(bytesRead)} read, ${bytes(bytesStored)} stored`);
  for (const { path, code, message } of errors.slice(0, firstFailures)) {
    await line(`  ${path === '' ? '' : `${printable(path)}: `}${printable(message)} (${code})`);
  }
  if (errors.length > firstFailures) await line(`  All of them: listbackup runs errors ${id}`);
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
