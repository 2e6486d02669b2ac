/** `activity`: the audit feed of the account, in the order of its ledger. */
import { type Command, Option } from 'commander';
import { type Api, all, atMost, itemsOf, type Schemas } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { listen, type News } from '../follow.ts';
import { type Column, jsonArray, line, noteMore, printList, time, write } from '../output.ts';
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
/** Milliseconds between requests. With the live socket they only cover lost messages. */
const pollEveryMs = { live: 10_000, polling: 1_000 };
/** Entries that `--follow` shows first. */
const initialEntries = 10;

export function addActivityCommand(program: Command): void {
  program
    .command('activity')
    .summary('show the audit feed')
    .description('Lists the events of the account, newest first.')
    .option('--from <time>', 'at or after this time, for example 2026-01-31 or 2026-01-31T12:00:00Z', parseTime)
    .option('--to <time>', 'before this time', parseTime)
    .option('--type <type>', 'only events of this type, for example run.requested')
    .option('--actor <id>', 'only events of this actor')
    .option('--limit <n>', 'maximum number of events', wholeNumber, 50)
    .option('--oldest-first', 'list the oldest first')
    .addOption(
      new Option('-f, --follow', 'show the latest events, then new ones until Ctrl+C').conflicts(['to', 'oldestFirst']),
    )
    .addHelpText('after', '\n--json prints one array. --json --follow prints one object per line.')
    .action(async (options: Options, command: Command) => {
      const api = await signedIn(command);
      const { from, to, type, actor, limit } = options;
      const filter = { ...(from && { from }), ...(to && { to }), ...(type && { type }), ...(actor && { actor }) };
      if (options.follow) return followActivity(api, filter, wantsJson(command));
      const order = options.oldestFirst ? ('asc' as const) : ('desc' as const);
      const list = (max: number) =>
        itemsOf((query) => api.GET('/activity', { params: { query: { ...query, ...filter, order } } }), max);
      if (wantsJson(command)) return jsonArray(list(limit));
      const items = atMost(limit, list, () => noteMore(limit, 'events'));
      return printList(items, columns, 'No events match.');
    });
}

type Filter = { from?: string; type?: string; actor?: string };

async function followActivity(api: Api, filter: Filter, asJson: boolean): Promise<void> {
  const stop = new AbortController();
  // `on`, not `once`: the signal arrives twice, from the terminal and from the launcher.
  process.on('SIGINT', () => stop.abort());
  const news = listen(api, stop.signal);
  try {
    await showEvents(api, filter, asJson, news, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    news.stop();
  }
}

async function showEvents(api: Api, filter: Filter, asJson: boolean, news: News, signal: AbortSignal): Promise<void> {
  const show = (item: Activity) =>
    asJson ? write(`${JSON.stringify(item)}\n`) : line(columns.map(({ of }) => of(item)).join('  '));
  const list = (more: { from?: string; order: 'asc' | 'desc' }, limit?: number) =>
    itemsOf((query) => api.GET('/activity', { params: { query: { ...query, ...filter, ...more } }, signal }), limit);

  let last: Activity | undefined;
  const initial =
    filter.from === undefined ? (await all(list({ order: 'desc' }, initialEntries))).reverse() : list({ order: 'asc' });
  for await (const item of initial) {
    await show(item);
    last = item;
  }
  while (!signal.aborted) {
    await news.next(news.live() ? pollEveryMs.live : pollEveryMs.polling);
    if (signal.aborted) return;
    for await (const item of list({ order: 'asc', ...(last && { from: shortlyBefore(last.at) }) })) {
      if (last && (item.seq < last.seq || (item.seq === last.seq && item.index <= last.index))) continue;
      await show(item);
      last = item;
    }
  }
}

/** The order of the feed is `seq`. Times may go back a little, so the query starts a minute earlier. */
function shortlyBefore(at: string): string {
  return new Date(Date.parse(at) - 60_000).toISOString();
}
