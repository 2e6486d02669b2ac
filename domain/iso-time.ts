/** Conversion of usual times, in a fraction of the time that Date takes. A backup converts several for each file. */

const dayMs = 86_400_000;
const twoDigits = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'));
let lastDay = Number.NaN;
let lastDate = '';

/** As `new Date(ms).toISOString()`. */
export function toIso(ms: number): string {
  const day = Math.floor(ms / dayMs);
  if (day !== lastDay) {
    lastDate = new Date(day * dayMs).toISOString().slice(0, -13);
    lastDay = day;
  }
  const rest = ms - day * dayMs;
  const seconds = Math.floor(rest / 1000);
  const [hour, minute, second] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const fraction = rest - seconds * 1000;
  const padded = fraction < 10 ? `00${fraction}` : fraction < 100 ? `0${fraction}` : fraction;
  return `${lastDate}${twoDigits[hour]}:${twoDigits[minute]}:${twoDigits[second]}.${padded}Z`;
}

let parsedDate = '';
let parsedDay = Number.NaN;

/** The milliseconds of a text that `toIso` gives, for years with four digits. Undefined for any other text. */
export function fromIso(text: string): number | undefined {
  if (text.length !== 24) return undefined;
  const date = text.slice(0, 11);
  if (date !== parsedDate) {
    const day = Date.parse(`${date}00:00:00.000Z`);
    if (Number.isNaN(day) || !new Date(day).toISOString().startsWith(date)) return undefined;
    parsedDate = date;
    parsedDay = day;
  }
  const number = (at: number) => (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48;
  const [hour, minute, second] = [number(11), number(14), number(17)];
  const ms =
    parsedDay + hour * 3_600_000 + minute * 60_000 + second * 1000 + number(20) * 10 + text.charCodeAt(22) - 48;
  return toIso(ms) === text ? ms : undefined;
}
