/** Log lines as JSON on standard error. */
import pino from 'pino';
import type { Log } from '../../domain/ports.ts';

/** `level` as pino's (`info`, `warn`, …, `silent`); default `warn`. */
export function openLog(level = 'warn'): Log {
  const log = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  return {
    info: (message, fields = {}) => log.info(fields, message),
    warn: (message, fields = {}) => log.warn(fields, message),
    error: (message, fields = {}, error) =>
      log.error(error === undefined ? fields : { ...fields, err: error }, message),
    measure: (numbers) => log.info(numbers, 'measured'),
  };
}
