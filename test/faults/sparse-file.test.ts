/** A huge sparse file does not raise memory in backup and download. `LISTBACKUP_SOAK=1` makes it 5 GiB large. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { type Client, client, type Run, until } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { testFolder } from '../support/embedded.ts';
import { settle } from './killable-server.ts';

const MiB = 1024 * 1024;
const size = (process.env.LISTBACKUP_SOAK ? 5120 : 1024) * MiB;

/** Starts the server as `npm start` does, as a direct child process, to read its memory. */
async function start(data: string) {
  const flags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=4'];
  const child = spawn(process.execPath, [...flags, 'infra/embedded/start.js', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PORT: '0', LISTBACKUP_DATA: data, LISTBACKUP_RATE_LIMIT: '0' },
  });
  const ended = once(child, 'exit');
  onTestFinished(() => void child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith('{')) continue;
    const status = `/proc/${child.pid}/status`;
    return {
      url: String(JSON.parse(line).url),
      /** Peak memory in bytes. Undefined where the system does not report it. */
      peak: () =>
        existsSync(status) ? Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))?.[1]) * 1024 : undefined,
      async stop() {
        child.kill('SIGTERM');
        await ended;
      },
    };
  }
  throw new Error('The server did not start.');
}

function hashOfZeros(length: number): string {
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(MiB);
  for (let left = length; left > 0; left -= MiB) hash.update(left < MiB ? zeros.subarray(0, left) : zeros);
  return hash.digest('hex');
}

async function hashOfDownload(api: Client, fileId: unknown): Promise<string> {
  const { url } = await api.expect(200, 'POST', '/data/download', { body: { fileId } });
  const { body } = await fetch(String(url));
  const hash = createHash('sha256');
  for await (const piece of body ?? []) hash.update(piece);
  return hash.digest('hex');
}

it('is backed up and downloaded within the memory of a small file', async () => {
  const [data, source] = [await testFolder(), await testFolder()];
  const server = await start(data);
  const owner = await settle((token) => client(server.url, token), source);
  const api = client(server.url, owner.token);

  const ended = (id: string) =>
    until<Run>(
      'the run ends',
      async () => {
        const { body } = await api.call('GET', `/runs/${id}`);
        return body.finishedAt ? (body as Run) : undefined;
      },
      1000,
    );

  async function thereAndBack(name: string, length: number): Promise<number | undefined> {
    writeFileSync(join(source, name), '');
    truncateSync(join(source, name), length);
    const began = process.hrtime.bigint();
    const { id } = await api.expect(202, 'POST', `/jobs/${owner.jobId}/run`);
    const run = await ended(String(id));
    expect(run).toMatchObject({ status: 'succeeded', progress: { filesDone: 1, bytesRead: length } });
    // All of its chunks are equal
    expect(run.progress.bytesStored).toBeLessThan(MiB);
    const [file] = await api.all(`/data/files?sourceId=${owner.sourceId}&path=${name}`);
    const hash = hashOfZeros(length);
    expect(file).toMatchObject({ size: length, sha256: hash });
    expect(await hashOfDownload(api, file?.id)).toBe(hash);
    if (process.env.LISTBACKUP_SOAK)
      console.log(
        name,
        length / MiB,
        'MiB',
        Number(process.hrtime.bigint() - began) / 1e9,
        's',
        run.progress.bytesStored,
        'B stored',
        (server.peak() ?? 0) / MiB,
        'MiB peak',
      );
    return server.peak();
  }

  const small = await thereAndBack('small', 64 * MiB + 1);
  const huge = await thereAndBack('huge', size);
  if (small !== undefined && huge !== undefined) {
    expect(huge - small).toBeLessThan(64 * MiB);
    expect(huge).toBeLessThan(400 * MiB);
  }
  await server.stop();
  await expectClean(data, { readData: false });
}, 1_200_000);
