/** The line that shows a run on a terminal: pure, so that what it promises can be tested. */
import type { Run } from './follow.ts';
import { bytes } from './output.ts';

/** What was seen at one moment. `at`: milliseconds. */
type Sample = { at: number; bytesRead: number };
export type Seen = { percent: number | null; samples: readonly Sample[]; run: Run };

/** The rate is that of the last few seconds. */
const window = 5_000;

/** Takes the next look at the run in. The percentage never goes back, and 100 is kept for a run that saved everything it could. */
export function see(before: Seen | undefined, run: Run, at: number): Seen {
  const { percent, bytesRead } = run.progress;
  const shown = percent === null ? (before?.percent ?? null) : Math.max(percent, before?.percent ?? 0);
  const recent = [...(before?.samples ?? []), { at, bytesRead }];
  const from = recent.findLastIndex((sample) => at - sample.at >= window);
  return { percent: shown, samples: recent.slice(Math.max(0, from)), run };
}

/** Bytes a second, undefined while too little was seen to say. */
export function rateOf({ samples }: Seen): number | undefined {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.at <= first.at) return undefined;
  return ((last.bytesRead - first.bytesRead) * 1000) / (last.at - first.at);
}

/** `━━━━╌╌╌╌  50%  12/24 files  3.1 MiB  1.2 MiB/s  2 failed`, no wider than `width`. */
export function barText(seen: Seen, width: number): string {
  const { percent, run } = seen;
  if (percent === null) return clipped(run.status === 'requested' ? 'waiting to begin' : 'planning', width);
  const words = ` ${String(Math.floor(percent)).padStart(3)}%  ${progressWords(seen)}`;
  const room = Math.min(40, width - words.length - 1);
  if (room < 8) return clipped(words.trimStart(), width);
  const full = Math.floor((room * percent) / 100);
  return `${'━'.repeat(full)}${'╌'.repeat(room - full)}${words}`;
}

/** The counts, in words. */
export function progressWords(seen: Seen): string {
  const { filesTotal, filesDone, filesUnchanged, filesFailed, filesSkipped, bytesRead } = seen.run.progress;
  const rate = rateOf(seen);
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
