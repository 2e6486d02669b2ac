/** Conversion of usual times, in a fraction of the time that Date takes. A backup converts several for each file. */

const minuteMs = 60_000;
const dayMs = 86_400_000;
const padded = (count: number, digits: number, end: string) =>
  Array.from({ length: count }, (_, n) => `${String(n).padStart(digits, '0')}${end}`);
const hours = padded(24, 2, ':');
const minutes = padded(60, 2, ':');
const seconds = padded(60, 2, '.');
const fractions = padded(1000, 3, 'Z');
let lastDay = Number.NaN;
let lastDate = '';
let lastMinute = Number.NaN;
let lastStart = '';

/** As `new Date(ms).toISOString()`. */
export function toIso(ms: number): string {
  const minute = Math.floor(ms / minuteMs);
  if (minute !== lastMinute) {
    const day = Math.floor(ms / dayMs);
    if (day !== lastDay) lastDate = new Date(day * dayMs).toISOString().slice(0, -13);
    lastDay = day;
    const inDay = minute - day * 1440;
    lastStart = `${lastDate}${hours[Math.floor(inDay / 60)]}${minutes[inDay % 60]}`;
    lastMinute = minute;
  }
  const rest = ms - minute * minuteMs;
  const second = Math.floor(rest / 1000);
  // The short end is joined first: V8 makes a tree of objects for longer texts.
  return lastStart + ((seconds[second] as string) + fractions[rest - second * 1000]);
}

let parsedDate = '?';
let parsedDay = Number.NaN;

/** The milliseconds of a text that `toIso` gives, for years with four digits. Undefined for any other text. */
export function fromIso(text: string): number | undefined {
  if (text.length !== 24) return undefined;
  if (!text.startsWith(parsedDate)) {
    const date = text.slice(0, 11);
    const day = Date.parse(`${date}00:00:00.000Z`);
    if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(date)) return undefined;
    parsedDate = date;
    parsedDay = day;
  }
  const hour = digits(text, 11, 2, 24);
  const minute = digits(text, 14, 2, 60);
  const second = digits(text, 17, 2, 60);
  const fraction = digits(text, 20, 3, 1000);
  const ms = parsedDay + hour * 3_600_000 + minute * minuteMs + second * 1000 + fraction;
  const isUsual = text[13] === ':' && text[16] === ':' && text[19] === '.' && text[23] === 'Z' && !Number.isNaN(ms);
  return isUsual ? ms : undefined;
}

/** NaN if the text has no number below the limit there. */
function digits(text: string, from: number, count: number, limit: number): number {
  let number = 0;
  for (let at = from; at < from + count; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return Number.NaN;
    number = number * 10 + digit;
  }
  return number < limit ? number : Number.NaN;
}
