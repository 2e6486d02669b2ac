/** Renders the progress of a run. Pure functions, so that tests can check each state. */
import type { Run } from './follow.ts';
import { bytes } from './output.ts';

/** `at`: milliseconds of any monotonic clock. */
type Sample = { at: number; bytesRead: number };
export type Progress = { percent: number | null; samples: readonly Sample[]; run: Run };

/** The rate covers this many milliseconds. */
const rateWindowMs = 5_000;

/** Adds the next state of the run. The percentage never goes back. */
export function nextProgress(previous: Progress | undefined, run: Run, at: number): Progress {
  const { percent, bytesRead } = run.progress;
  const shown = percent === null ? (previous?.percent ?? null) : Math.max(percent, previous?.percent ?? 0);
  const recent = [...(previous?.samples ?? []), { at, bytesRead }];
  const from = recent.findLastIndex((sample) => at - sample.at >= rateWindowMs);
  return { percent: shown, samples: recent.slice(Math.max(0, from)), run };
}

/** Returns bytes per second, or undefined without two samples. */
export function rateOf({ samples }: Progress): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at <= first.at) return undefined;
  return ((last.bytesRead - first.bytesRead) * 1000) / (last.at - first.at);
}

/** Returns `━━━━╌╌╌╌  50%  12/24 files  3.1 MiB  1.2 MiB/s  2 failed`, at most `width` characters. */
export function barText(progress: Progress, width: number): string {
  const { percent, run } = progress;
  if (percent === null) return clipped(waitingText(run), width);
  const words = ` ${String(Math.floor(percent)).padStart(3)}%  ${countsText(progress)}`;
  const room = Math.min(40, width - words.length - 1);
  if (room < 8) return clipped(words.trimStart(), width);
  const full = Math.floor((room * percent) / 100);
  return `${'━'.repeat(full)}${'╌'.repeat(room - full)}${words}`;
}

/** Says why a run has no percentage yet. */
export function waitingText({ status }: Run): string {
  return status === 'requested' ? 'waiting to start' : 'planning';
}

/** Returns files, bytes and rate as text. */
export function countsText(progress: Progress): string {
  const { filesTotal, filesDone, filesUnchanged, filesFailed, filesSkipped, bytesRead } = progress.run.progress;
  const rate = rateOf(progress);
  return [
    `${filesDone + filesUnchanged + filesFailed + filesSkipped}/${filesTotal} files`,
    bytes(bytesRead),
    ...(!rate ? [] : [`${bytes(rate)}/s`]),
    ...(filesFailed > 0 ? [`${filesFailed} failed`] : []),
    ...(filesSkipped > 0 ? [`${filesSkipped} skipped`] : []),
  ].join('  ');
}

function clipped(text: string, width: number): string {
  return text.length <= width ? text : text.slice(0, Math.max(0, width));
}
