/** Starts servers (server-process.ts) as processes, and reads their state through the API. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../activity/commit.ts';
import { type Body, type Client, client, until } from '../acceptance/client.ts';

export type KillableServer = {
  url: string;
  /** The signal that ended the process, null if it ended by itself. */
  ended: Promise<NodeJS.Signals | null>;
  /** Ends the process cleanly. Returns how often it reached each boundary. */
  stop(): Promise<{ [step: string]: number }>;
  /** `kill -9`. */
  kill(): void;
};

/** `killAfter` is the time from the start to a kill, in ms. */
export type BoxOptions = { environment?: { [name: string]: string }; killAfter?: number };

const running = new Set<ChildProcess>();
const script = fileURLToPath(new URL('server-process.ts', import.meta.url));

/** Starts a server over that data folder. Undefined if it was killed before it was ready. */
export async function startKillableServer(
  data: string,
  fault = '',
  { environment, killAfter }: BoxOptions = {},
): Promise<KillableServer | undefined> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PORT: '0',
      HOST: '127.0.0.1',
      LISTBACKUP_DATA: data,
      LISTBACKUP_FAULT: fault,
      LISTBACKUP_RATE_LIMIT: '0',
      NODE_COMPILE_CACHE: join(tmpdir(), 'listbackup-compile-cache'),
      ...environment,
    },
  });
  running.add(child);
  const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfter);
  const ended = once(child, 'exit').then(([, signal]) => {
    running.delete(child);
    clearTimeout(timer);
    return signal as NodeJS.Signals | null;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = await lines.next();
  if (ready.done) {
    if ((await ended) === 'SIGKILL') return undefined;
    throw new Error('The server did not start.');
  }
  return {
    url: JSON.parse(ready.value).url,
    ended,
    async stop() {
      child.kill('SIGTERM');
      const last = await lines.next();
      await ended;
      if (last.done) throw new Error('The server did not end cleanly.');
      return JSON.parse(last.value).trace;
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

/** Kills every server that a failed test left running. */
export function killServers(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** The user of a data folder. Token and ids stay valid after a restart. */
export type Owner = { token: string; jobId: string; sourceId: string };

/** Creates a user, a source and a job in a new server. */
export async function settle(api: (token?: string) => Client, path: string): Promise<Owner> {
  const person = { email: 'ada@example.com', password: 'correct horse battery staple' };
  await api().expect(201, 'POST', '/auth/register', { body: { ...person, name: 'Ada' } });
  const { accessToken } = await api().expect(200, 'POST', '/auth/login', { body: person });
  const token = String(accessToken);
  const { id } = await api(token).expect(201, 'POST', '/sources', {
    body: { type: 'folder', name: 'Papers', config: { path } },
  });
  const job = await api(token).expect(201, 'POST', '/jobs', { body: { name: 'Nightly', sourceId: id } });
  return { token, sourceId: String(id), jobId: String(job.id) };
}

export function clientOf(server: KillableServer, owner: Owner): Client {
  return client(server.url, owner.token);
}

/** Waits until there are `count` runs and all have ended. */
export async function allEnded(api: Client, count: number): Promise<void> {
  await until(`${count} runs to end`, async () => {
    const runs = await api.all('/runs');
    return runs.length === count && runs.every(({ finishedAt }) => finishedAt !== null) ? true : undefined;
  });
}

/** The content of the read models without ids, times and costs, which may differ between equal outcomes. */
export async function readModels(api: Client): Promise<{ runs: Body[]; files: Body[]; overview: Body }> {
  const runs = (await api.all('/runs')).map(({ status, errors, progress }) => {
    const { bytesStored: _, ...rest } = progress as Body;
    return { status, errors, progress: rest };
  });
  const files = (await api.all('/data/files?recursive=true')).map(({ runId: _, ...file }) => file);
  const { bytesStored: _, cost: __, lastRunAt: ___, ...overview } = await api.expect(200, 'GET', '/analytics/overview');
  return { runs, files, overview };
}

/** The hash of each downloaded file, by its path as bytes. */
export async function restored(api: Client): Promise<Map<string, string>> {
  const files = (await api.all('/data/files?recursive=true')).filter(({ kind }) => kind === 'file');
  const hashes = await Promise.all(
    files.map(async ({ id, path, pathBytes }): Promise<[string, string]> => {
      const { url } = await api.expect(200, 'POST', '/data/download', { body: { fileId: id } });
      const content = new Uint8Array(await (await fetch(String(url))).arrayBuffer());
      const name = pathBytes === undefined ? Buffer.from(String(path)) : Buffer.from(String(pathBytes), 'base64');
      return [name.toString('latin1'), sha256(content)];
    }),
  );
  return new Map(hashes);
}
