/** Times searches and pages of the root folder through the API, after a backup of the corpus. */
import type { Client } from '../test/acceptance/client.ts';
import type { Corpus } from './corpus.ts';
import { type Server, startProduct, startServer } from './listbackup.ts';
import { type Usage, watchChildren } from './processes.ts';
import { bytesText, row } from './report.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

/** Milliseconds. `cold` is the first request after a start of the server, and not in the other numbers. */
export type Timing = { name: string; requests: number; cold: number; p50: number; p95: number; cpu: number };
export type Browse = { files: number; first: Usage; unchanged: Usage; peakBytes: number; timings: Timing[] };

/** At scale 1. */
const queries = 1000;
const pages = 100;

export async function measureBrowse(corpus: Corpus, data: string): Promise<Browse> {
  const env = { LISTBACKUP_DATA: data, LISTBACKUP_RATE_LIMIT: '0' };
  const product = await startProduct(corpus, env);
  const { sourceId } = product;
  let first: Usage;
  let unchanged: Usage;
  try {
    first = await product.run();
    unchanged = await product.run();
  } finally {
    await product.stop();
  }
  const random = seededRandom(`${corpus.seed}/queries`);
  const paths = [...corpus.base.keys()];
  const search = (query: (random: SeededRandom, name: string) => string) => (api: Client) => {
    const path = paths[random.below(paths.length)] as string;
    const body = { query: query(random, path.slice(path.lastIndexOf('/') + 1)), sourceId };
    return api.expect(200, 'POST', '/data/search?limit=50', { body });
  };
  const page = (api: Client) => api.expect(200, 'GET', `/data/files?sourceId=${sourceId}&limit=200`);
  const kinds = [
    { name: 'search for a part of a name', ofScale1: queries / 2, request: search(partOf) },
    { name: 'search for a near miss', ofScale1: queries / 2, request: search(nearMiss) },
    { name: 'page of the root folder', ofScale1: pages, request: page },
  ];
  const timings: Timing[] = [];
  let peakBytes = 0;
  for (const { name, ofScale1, request } of kinds) {
    const requests = Math.ceil(ofScale1 * corpus.scale);
    const server = await startServer(env);
    try {
      const { peak, ...timing } = await time(server, requests, request);
      timings.push({ name, requests, ...timing });
      peakBytes = Math.max(peakBytes, peak);
    } finally {
      await server.stop();
    }
  }
  return { files: corpus.base.size, first, unchanged, peakBytes, timings };
}

async function time(server: Server, requests: number, request: (api: Client) => Promise<unknown>) {
  const once = async () => {
    const api = await server.api();
    const start = performance.now();
    await request(api);
    return performance.now() - start;
  };
  const cold = await once();
  const done = watchChildren(server.started.process.pid as number);
  const times: number[] = [];
  for (let i = 0; i < requests; i++) times.push(await once());
  const { cpuSeconds, peakBytes } = done();
  times.sort((a, b) => a - b);
  const percentile = (percent: number) => times[Math.ceil((requests * percent) / 100) - 1] as number;
  return { cold, p50: percentile(50), p95: percentile(95), cpu: (cpuSeconds * 1000) / requests, peak: peakBytes };
}

/** At least 3 characters of the name. No name of a corpus has spaces, which would separate words. */
function partOf(random: SeededRandom, name: string): string {
  const length = random.between(3, Math.max(3, Math.min(12, name.length)));
  const at = random.below(Math.max(1, name.length - length + 1));
  return name.slice(at, at + length);
}

/** A part of the name with another letter in it. */
function nearMiss(random: SeededRandom, name: string): string {
  const part = partOf(random, name);
  const at = random.below(part.length);
  const letter = String.fromCharCode(97 + random.below(26));
  return part.slice(0, at) + letter + part.slice(at + 1);
}

export function browseTable({ files, first, unchanged, peakBytes, timings }: Browse): string {
  const usage = (name: string, { wallSeconds, cpuSeconds, peakBytes }: Usage) =>
    row([
      name,
      `${wallSeconds.toFixed(1)} s`,
      `${cpuSeconds.toFixed(1)} s`,
      `${((cpuSeconds * 1_000_000) / files).toFixed(1)} µs`,
      bytesText(peakBytes),
    ]);
  return [
    row([`backup of ${files} files`, 'wall', 'CPU', 'CPU per file', 'peak memory']),
    row(['---', '---:', '---:', '---:', '---:']),
    usage('first', first),
    usage('again, unchanged', unchanged),
    `\nPeak memory of the server that answers: ${bytesText(peakBytes)}\n`,
    row(['request', 'requests', 'first after a start', 'p50', 'p95', 'CPU per request']),
    row(['---', '---:', '---:', '---:', '---:', '---:']),
    ...timings.map(({ name, requests, ...ms }) =>
      row([name, String(requests), ...[ms.cold, ms.p50, ms.p95, ms.cpu].map((value) => `${value.toFixed(1)} ms`)]),
    ),
  ].join('\n');
}
