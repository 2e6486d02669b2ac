/** The log on standard error: readable lines in a terminal, JSON lines otherwise. */
import pino from 'pino';
import type { Log } from '../../domain/ports.ts';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** The levels for help and errors. */
export const logLevelList = `${logLevels.slice(0, -1).join(', ')} or ${logLevels.at(-1)}`;
export type LogLevel = (typeof logLevels)[number];

export function openLog(level: LogLevel = 'warn', terminal = process.stderr.isTTY): Log {
  const log = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    terminal ? { write: (text) => process.stderr.write(readableLine(text)) } : pino.destination({ fd: 2, sync: true }),
  );
  return {
    info: (message, fields = {}) => log.info(fields, message),
    warn: (message, fields = {}) => log.warn(fields, message),
    error: (message, fields = {}, error) =>
      log.error(error === undefined ? fields : { ...fields, err: error }, message),
    measure: (numbers) => log.info(numbers, 'measured'),
  };
}

/** Returns a log that keeps its entries from `hold` to `release`. */
export function holdable(log: Log): { log: Log; hold(): void; release(): void } {
  let held: (() => void)[] | undefined;
  const write = (entry: () => void) => (held ? void held.push(entry) : entry());
  return {
    log: {
      info: (...entry) => write(() => log.info(...entry)),
      warn: (...entry) => write(() => log.warn(...entry)),
      error: (...entry) => write(() => log.error(...entry)),
      measure: (...entry) => write(() => log.measure(...entry)),
    },
    hold() {
      held ??= [];
    },
    release() {
      const entries = held ?? [];
      held = undefined;
      for (const entry of entries) entry();
    },
  };
}

/** Turns a JSON line of pino into `12:00:00 WARN message (field: value): error message`. Leaves out stacks. */
export function readableLine(text: string): string {
  const { level, time, msg, err, ...fields } = JSON.parse(text);
  const at = new Date(time).toLocaleTimeString('en-GB');
  const details = Object.entries(fields).map(([name, value]) => `${name}: ${plain(value)}`);
  const inBrackets = details.length > 0 ? ` (${details.join(', ')})` : '';
  const cause = err === undefined ? '' : `: ${err.message ?? plain(err)}`;
  // Names in an error may come from other systems. Control characters must not move the cursor.
  const line = `${at} ${pino.levels.labels[level]?.toUpperCase()} ${msg}${inBrackets}${cause}`;
  return `${line.replaceAll(/\p{Cc}/gu, ' ')}\n`;
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
