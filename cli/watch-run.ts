/** Shows the progress of a run and how it ended. Ctrl+C stops the display, not the run. */
import type { Api } from './client.ts';
import { follow, type Run } from './follow.ts';
import { bytes, json, line, note, printable, styled } from './output.ts';
import { pathText } from './path-text.ts';
import { withProgramName } from './program-name.ts';
import { barText, countsText, nextProgress, type Progress, waitingText } from './progress-bar.ts';
import { exitCodes } from './refusal.ts';

const shownFailures = 5;

/** Prints progress on standard error and the result on standard output. Sets the exit code by the result. */
export async function watchRun(api: Api, runId: string, asJson: boolean): Promise<void> {
  const stop = new AbortController();
  // `on`, not `once`: the signal arrives twice, from the terminal and from the launcher.
  process.on('SIGINT', () => stop.abort());
  const show = asJson ? () => {} : process.stderr.isTTY ? showBar : showLines();
  let progress: Progress | undefined;
  try {
    for await (const run of follow(api, runId, stop.signal)) {
      progress = nextProgress(progress, run, performance.now());
      show(progress);
    }
  } finally {
    if (!asJson && process.stderr.isTTY && progress) process.stderr.write('\r\u001b[K');
  }
  if (stop.signal.aborted) {
    note(
      `Stopped following. The run continues. ` +
        `Follow it again with \`listbackup runs follow ${runId}\`, or cancel it with \`listbackup runs cancel ${runId}\`.`,
    );
    process.exitCode = exitCodes.interrupted;
    return;
  }
  if (!progress) return;
  await (asJson ? json(progress.run) : showRun(progress.run));
  process.exitCode = exitCodeOf(progress.run);
}

/** Returns 0 if all files were saved, 2 if some failed, else 1. */
export function exitCodeOf({ status }: Run): number {
  return status === 'succeeded' ? exitCodes.succeeded : status === 'partial' ? exitCodes.partial : exitCodes.failed;
}

/** Overwrites one line of the terminal. */
function showBar(progress: Progress): void {
  process.stderr.write(`\r${barText(progress, (process.stderr.columns ?? 80) - 1)}\u001b[K`);
}

/** For logs: prints a line for each new status and each further 10 %. */
function showLines(): (progress: Progress) => void {
  let last = '';
  return (progress) => {
    const { run, percent } = progress;
    const step = percent === null ? waitingText(run) : `${Math.floor(percent / 10) * 10}%`;
    if (step === last) return;
    last = step;
    note(percent === null ? step : `${Math.floor(percent)}%  ${countsText(progress)}`);
  };
}

const colours = { succeeded: 'green', partial: 'yellow', failed: 'red', cancelled: 'yellow' } as const;

/** Prints status, counts and the first failures of a run. */
export async function showRun(run: Run): Promise<void> {
  const { id, status, progress, errors, startedAt, finishedAt } = run;
  const { filesTotal, filesDone, filesUnchanged, filesDeleted, filesFailed, filesSkipped, bytesRead, bytesStored } =
    progress;
  const colour = colours[status as keyof typeof colours];
  const seconds = startedAt && finishedAt ? (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000 : undefined;
  const took = seconds === undefined ? '' : ` in ${duration(seconds)}`;
  await line(`${colour ? styled(process.stdout, colour, status) : status}${took}  ${id}`);
  const isSaved = status === 'succeeded' || status === 'partial';
  const done = isSaved ? 'saved' : 'read';
  const counts: [string, number][] = [
    [done, filesDone],
    ['unchanged', filesUnchanged],
    ['deleted', filesDeleted],
    ['failed', filesFailed],
    ['skipped', filesSkipped],
  ];
  const words = counts.filter(([word, count]) => count > 0 || word === done).map(([word, count]) => `${count} ${word}`);
  await line(`  ${filesTotal} files: ${words.join(', ')}`);
  await line(`  ${bytes(bytesRead)} read, ${bytes(bytesStored)} stored`);
  if (!isSaved && finishedAt !== null) await line('  It created no restore point. Older backups stay.');
  for (const { path, code, message } of errors.slice(0, shownFailures)) {
    await line(`  ${path === '' ? '' : `${pathText(path)}: `}${printable(message)} (${code})`);
  }
  if (errors.length > shownFailures)
    await line(withProgramName(`  See all of them with \`listbackup runs errors ${id}\`.`));
}

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
