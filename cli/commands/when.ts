/** Parses times and sizes of command line options. */
import { InvalidArgumentError } from 'commander';

/**
 * Parses a date (midnight local time) or a time with or without an offset. Returns UTC in ISO 8601. Refuses a day that
 * its month does not have: `Date` would take 2026-02-30 for 2026-03-02.
 */
export function parseTime(text: string): string {
  const [day = ''] = /^\d{4}-\d\d-\d\d(?=[T ]|$)/.exec(text) ?? [];
  const midnight = new Date(`${day}T00:00:00Z`);
  const date = /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00:00`) : new Date(text);
  if (Number.isNaN(date.getTime()) || Number.isNaN(midnight.getTime()) || !midnight.toISOString().startsWith(day)) {
    throw new InvalidArgumentError('Use an existing time like 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00Z.');
  }
  return date.toISOString();
}

const units: { [unit: string]: number } = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** Parses `1500`, `1.5MB` (1,500,000) or `1.5MiB` (1,572,864). Returns bytes. */
export function byteCount(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?$/i.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError('Use a size like 1500, 1.5MB or 1.5MiB.');
  return Math.round(Number(number) * (units[(unit ?? '').toLowerCase()] ?? 1));
}
