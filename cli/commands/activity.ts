/** The audit feed: what happened in the account, by whom, in order. */
import { type Command, Option } from 'commander';
import { type Api, all, atMost, itemsOf, type Schemas } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { listen, type News } from '../follow.ts';
import { type Column, jsonArray, line, note, noteMore, table, time, write } from '../output.ts';
import { wholeNumber } from './runs.ts';
import { parseTime } from './when.ts';

type Activity = Schemas['Activity'];
type Options = {
  from?: string;
  to?: string;
  type?: string;
  actor?: string;
  limit: number;
  oldestFirst?: boolean;
  follow?: boolean;
};

const columns: Column<Activity>[] = [
  { title: 'SEQ', of: ({ seq, index }) => (index === 0 ? String(seq) : `${seq}.${index}`), right: true },
  { title: 'AT', of: ({ at }) => time(at) },
  { title: 'TYPE', of: ({ type }) => type },
  { title: 'ACTOR', of: ({ actor }) => `${actor.type} ${actor.id}` },
  { title: 'STREAM', of: ({ stream }) => stream.split('/').slice(1).join('/') },
];
const lookEvery = { live: 10_000, polling: 1_000 };
const lastFew = 10;

export function addActivityCommand(program: Command): void {
  program
    .command('activity')
    .summary('what happened, by whom')
    .description('The audit feed of the account, the newest first.')
    .option('--from <time>', 'from this time on, like 2026-01-31 or 2026-01-31T12:00:00Z', parseTime)
    .option('--to <time>', 'before this time', parseTime)
    .option('--type <type>', 'only events of this type, like run.requested')
    .option('--actor <id>', 'only what this actor did')
    .option('--limit <n>', 'how many at most', wholeNumber, 50)
    .option('--oldest-first', 'begin with the oldest')
    .addOption(
      new Option('-f, --follow', 'show the last few, and then what happens, until Ctrl+C').conflicts([
        'to',
        'oldestFirst',
      ]),
    )
    .addHelpText('after', '\nWith --json an array; with --follow --json one object a line.')
    .action(async (options: Options, command: Command) => {
      const api = await signedIn(command);
      const { from, to, type, actor, limit } = options;
      const filter = { ...(from && { from }), ...(to && { to }), ...(type && { type }), ...(actor && { actor }) };
      if (options.follow) return followActivity(api, filter, wantsJson(command));
      const order = options.oldestFirst ? ('asc' as const) : ('desc' as const);
      const list = (most: number) =>
        itemsOf((query) => api.GET('/activity', { params: { query: { ...query, ...filter, order } } }), most);
      if (wantsJson(command)) return jsonArray(list(limit));
      if (
        (await table(
          atMost(limit, list, () => noteMore(limit)),
          columns,
        )) === 0
      )
        note('Nothing happened that fits.');
    });
}

type Filter = { from?: string; type?: string; actor?: string };

async function followActivity(api: Api, filter: Filter, asJson: boolean): Promise<void> {
  const stop = new AbortController();
  // for good: it comes twice, from the terminal and from the launcher
  process.on('SIGINT', () => stop.abort());
  const news = listen(api, stop.signal);
  try {
    await showAsItComes(api, filter, asJson, news, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    news.stop();
  }
}

async function showAsItComes(
  api: Api,
  filter: Filter,
  asJson: boolean,
  news: News,
  signal: AbortSignal,
): Promise<void> {
  const show = (item: Activity) =>
    asJson ? write(`${JSON.stringify(item)}\n`) : line(columns.map(({ of }) => of(item)).join('  '));
  const list = (more: { from?: string; order: 'asc' | 'desc' }, limit?: number) =>
    itemsOf((query) => api.GET('/activity', { params: { query: { ...query, ...filter, ...more } }, signal }), limit);

  let last: Activity | undefined;
  const begin =
    filter.from === undefined ? (await all(list({ order: 'desc' }, lastFew))).reverse() : list({ order: 'asc' });
  for await (const item of begin) {
    await show(item);
    last = item;
  }
  while (!signal.aborted) {
    await news.next(news.live() ? lookEvery.live : lookEvery.polling);
    if (signal.aborted) return;
    for await (const item of list({ order: 'asc', ...(last && { from: shortlyBefore(last.at) }) })) {
      if (last && (item.seq < last.seq || (item.seq === last.seq && item.index <= last.index))) continue;
      await show(item);
      last = item;
    }
  }
}

/** The order is that of `seq`; clocks may differ a little. */
function shortlyBefore(at: string): string {
  return new Date(Date.parse(at) - 60_000).toISOString();
}
