/** Output: tables in a terminal, tab-separated lines in a pipe, JSON with `--json`. */
import { once } from 'node:events';
import { styleText } from 'node:util';
import { withProgramName } from './program-name.ts';
import type { Refusal } from './refusal.ts';

type Style = Parameters<typeof styleText>[0];

/** Styles text if the stream is a terminal and NO_COLOR is not set. */
export function styled(stream: NodeJS.WriteStream, style: Style, text: string): string {
  return styleText(style, text, { stream, validateStream: true });
}

export async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

export function line(text: string): Promise<void> {
  return write(`${text}\n`);
}

/** Prints a message for the user on standard error. It is never part of the output. */
export function note(text: string): void {
  process.stderr.write(`${withProgramName(text)}\n`);
}

/** Says that a list was cut. `items` names the items in the plural. */
export function noteMore(limit: number, items: string): void {
  note(`More than ${limit} ${items} match. Raise --limit to see more.`);
}

export function json(value: unknown): Promise<void> {
  return write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Writes one JSON array, item by item as they arrive. */
export async function jsonArray(items: AsyncIterable<unknown>): Promise<void> {
  let first = true;
  for await (const item of items) {
    await write(`${first ? '[\n' : ',\n'}${JSON.stringify(item, null, 2).replaceAll(/^/gm, '  ')}`);
    first = false;
  }
  await write(first ? '[]\n' : '\n]\n');
}

export type Column<T> = { title: string; of: (item: T) => string; right?: boolean };

/**
 * Prints items and returns their number. In a terminal they are aligned under titles.
 * In a pipe they are tab-separated without titles, one per line, as soon as they arrive.
 */
export async function table<T>(items: AsyncIterable<T>, columns: readonly Column<T>[]): Promise<number> {
  let count = 0;
  const cells = (item: T) => columns.map(({ of }) => printable(of(item)));
  if (!process.stdout.isTTY) {
    for await (const item of items) {
      await line(cells(item).join('\t'));
      count += 1;
    }
    return count;
  }
  // Print page by page, so that the first page appears at once.
  let rows: string[][] = [];
  const widths = columns.map(({ title }) => title.length);
  const flush = async () => {
    if (rows.length === 0) return;
    for (const row of rows)
      row.forEach((cell, at) => {
        widths[at] = Math.max(widths[at] ?? 0, cell.length);
      });
    const laidOut = (row: readonly string[]) =>
      row
        .map((cell, at) => (columns[at]?.right ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
        .join('  ')
        .trimEnd();
    if (count === 0) await line(styled(process.stdout, 'bold', laidOut(columns.map(({ title }) => title))));
    for (const row of rows) await line(laidOut(row));
    count += rows.length;
    rows = [];
  };
  for await (const item of items) {
    rows.push(cells(item));
    if (rows.length === 200) await flush();
  }
  await flush();
  return count;
}

/** Prints items as a table, or the note `empty` if there are none. */
export async function printList<T>(
  items: AsyncIterable<T>,
  columns: readonly Column<T>[],
  empty: string,
): Promise<void> {
  if ((await table(items, columns)) === 0) note(empty);
}

/** Escapes control characters. Names come from other systems and must not move the cursor or start a line. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0)?.toString(16)}}`);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Formats a number of bytes: `1536` → `1.5 KiB`. */
export function bytes(count: number): string {
  let rest = count;
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

/** Formats a time: local time in a terminal, UTC in a pipe. */
export function time(iso: string | null): string {
  if (iso === null) return '-';
  if (!process.stdout.isTTY) return iso;
  const date = new Date(iso);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Prints an error on standard error: title and detail, or the problem document with `--json`. */
export function reportRefusal({ problem }: Refusal, asJson: boolean): void {
  if (asJson) {
    note(JSON.stringify(problem));
    return;
  }
  const { title, detail, errors = [] } = problem;
  note(`${styled(process.stderr, 'red', 'Error:')} ${printable(title)}. ${printable(detail)}`);
  for (const { path, message } of errors.filter(({ message }) => message !== detail))
    note(`  ${path === '' ? '' : `${printable(path)}: `}${printable(message)}`);
}
