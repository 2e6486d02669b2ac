/** Sends many concurrent requests of one user to `npm start`, over kept-alive connections. */
import { Agent, request } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, client, until } from '../test/acceptance/client.ts';
import { npmStart } from '../test/support/npm-start.ts';
import { watchChildren } from './processes.ts';

export type Load = { requests: number; atOnce: number };
export type Measured = {
  seconds: number;
  /** Median, 99th percentile and maximum in ms, from the request to the complete answer. */
  p50: number;
  p99: number;
  slowest: number;
  /** Wrong and missing answers, by kind. */
  errors: { [kind: string]: number };
  /** Jobs with the answer 201, and those of them that the list shows afterwards. */
  written: number;
  found: number;
  cpuSeconds: number;
  peakBytes: number;
};

type Request = { method: string; path: string; status: number; body?: string };

/** Sends the requests to a new server, `atOnce` at a time. Every fifth creates a job, the others read. */
export async function measureLoad({ requests, atOnce }: Load): Promise<Measured> {
  const started = await npmStart({ LISTBACKUP_RATE_LIMIT: '0' });
  try {
    const nobody = client(started.url);
    const who = { email: 'load@example.com', password: 'correct horse battery' };
    await nobody.expect(201, 'POST', '/auth/register', { body: { ...who, name: 'Load' } });
    const { accessToken } = await nobody.expect(200, 'POST', '/auth/login', { body: who });
    const api = client(started.url, String(accessToken));
    const config = { path: process.cwd() };
    const { id: sourceId } = await api.expect(201, 'POST', '/sources', {
      body: { type: 'folder', name: 'Here', config },
    });
    await until(
      'the source is shown',
      async () => (await api.call('GET', `/sources/${sourceId}`)).status === 200 || undefined,
    );
    const kinds: ((n: number) => Request)[] = [
      (n) => ({ method: 'POST', path: '/jobs', status: 201, body: JSON.stringify({ name: `Job ${n}`, sourceId }) }),
      () => ({ method: 'GET', path: `/sources/${sourceId}`, status: 200 }),
      () => ({ method: 'GET', path: '/jobs?limit=20', status: 200 }),
      () => ({ method: 'GET', path: '/analytics/overview', status: 200 }),
      () => ({ method: 'GET', path: '/runs', status: 200 }),
    ];
    const agent = new Agent({ keepAlive: true, maxSockets: atOnce });
    const times: number[] = [];
    const errors: { [kind: string]: number } = {};
    const ids = new Set<string>();
    let next = 0;

    async function one(n: number): Promise<void> {
      const wanted = kinds[n % kinds.length]?.(n) as Request;
      const began = performance.now();
      const { status, text } = await send(started.url, agent, String(accessToken), wanted).catch(({ code }) => ({
        status: code,
        text: '',
      }));
      times.push(performance.now() - began);
      if (status !== wanted.status)
        errors[`${wanted.method} ${status}`] = (errors[`${wanted.method} ${status}`] ?? 0) + 1;
      else if (wanted.method === 'POST') ids.add(JSON.parse(text).id);
    }
    async function sendNext(): Promise<void> {
      while (next < requests) await one(next++);
    }
    // Warm up, because the first calls are slower
    for (let n = 0; n < Math.min(500, requests); n++)
      await send(started.url, agent, String(accessToken), kinds[1 + (n % 4)]?.(n) as Request);
    const done = watchChildren(started.process.pid as number);
    const began = performance.now();
    await Promise.all(Array.from({ length: atOnce }, sendNext));
    const seconds = (performance.now() - began) / 1000;
    const { cpuSeconds, peakBytes } = done();
    agent.destroy();
    const found = await listedAgain(api, ids);
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
    return {
      seconds,
      p50: at(0.5),
      p99: at(0.99),
      slowest: at(1),
      errors,
      written: ids.size,
      found,
      cpuSeconds,
      peakBytes,
    };
  } finally {
    await started.stop();
  }
}

/** How many of these jobs the list shows. The read model may lag, so it polls until all are there, for a minute. */
async function listedAgain(api: Client, ids: Set<string>): Promise<number> {
  for (const last = performance.now() + 60_000; ; await pause(50)) {
    const listed = new Set((await api.all('/jobs')).map(({ id }) => String(id)));
    const found = [...ids].filter((id) => listed.has(id)).length;
    if (found === ids.size || performance.now() > last) return found;
  }
}

function send(
  url: string,
  agent: Agent,
  token: string,
  { method, path, body }: Request,
): Promise<{ status: number | undefined; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    request(`${url}${path}`, { method, agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode, text })).on('error', reject);
    })
      .on('error', reject)
      .end(body);
  });
}

export function loadTable(rows: { load: Load; measured: Measured }[]): string {
  const lines = rows.map(({ load, measured }) => {
    const { seconds, p50, p99, slowest, errors, written, found, cpuSeconds, peakBytes } = measured;
    const wrong = Object.entries(errors).map(([kind, count]) => `${count} × ${kind}`);
    return `| ${load.requests} | ${load.atOnce} | ${(load.requests / seconds).toFixed(0)} | ${p50.toFixed(0)} | ${p99.toFixed(0)} | ${slowest.toFixed(0)} | ${cpuSeconds.toFixed(1)} | ${(peakBytes / 2 ** 20).toFixed(0)} MiB | ${found} of ${written} | ${wrong.join(', ') || 'none'} |`;
  });
  return [
    '| requests | at once | a second | p50 ms | p99 ms | slowest ms | CPU s | peak memory | jobs found again | errors |',
    '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
    ...lines,
  ].join('\n');
}
