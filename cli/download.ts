/** Bytes from a download address, as often as it takes: what arrived stays, the rest is asked for by ranges. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Refusal, refusal } from './refusal.ts';

/** `sha256` and `size`: what the whole must be, where that is known beforehand. */
export type Downloadable = { url: string; size?: number | undefined; sha256?: string | undefined };

/** Asked again when an address has expired. */
export type Address = () => Promise<Downloadable>;

/** How often in a row a connection may fail without a byte, and the milliseconds after the first failure, twice as many after each. */
type Patience = { tries: number; pause: number };
const halfAMinute: Patience = { tries: 8, pause: 250 };

export type Progress = (received: number, size: number | undefined) => void;

/**
 * To `target`, by way of a file beside it, which a later call goes on with: it is named by the content, so it can only be the same. The
 * target appears whole and verified, or not at all. Throws a refusal when the bytes are not what was promised.
 */
export async function downloadTo(
  target: string,
  address: Address,
  progress: Progress = () => {},
  patience = halfAMinute,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const first = await address();
  const part = `${target}.${first.sha256?.slice(0, 12) ?? 'download'}.part`;
  // without a hash there is no telling whether it is the same
  if (first.sha256 === undefined) await rm(part, { force: true });
  for (;;) {
    const hash = createHash('sha256');
    const before = await hashPart(part, hash, first.size);
    const file = await open(part, before === 0 ? 'w' : 'a', 0o600);
    let failed: Refusal | undefined;
    try {
      await receive(first, address, before, hash, (chunk) => writeAll(file, chunk), progress, patience);
      failed = mismatch(first, hash);
      await file.sync();
    } finally {
      await file.close();
    }
    if (!failed) return rename(part, target);
    await rm(part, { force: true });
    // what an earlier call left may have been damaged since
    if (before === 0) throw failed;
  }
}

/** To a stream, in order. What was wrong is found out at the end only, and thrown. */
export async function downloadThrough(
  write: (chunk: Uint8Array) => Promise<void>,
  address: Address,
  progress: Progress = () => {},
): Promise<void> {
  const first = await address();
  const hash = createHash('sha256');
  await receive(first, address, 0, hash, write, progress, halfAMinute);
  const failed = mismatch(first, hash);
  if (failed) throw failed;
}

async function receive(
  first: Downloadable,
  address: Address,
  before: number,
  hash: Hash,
  write: (chunk: Uint8Array) => Promise<void>,
  progress: Progress,
  patience: Patience,
): Promise<void> {
  const { size } = first;
  let { url } = first;
  let received = before;
  let failures = 0;
  progress(received, size);
  while (received !== size || (size === 0 && received === 0)) {
    const beforeThis = received;
    try {
      const response = await fetch(url, received === 0 ? {} : { headers: { range: `bytes=${received}-` } });
      if ([403, 404, 410].includes(response.status) && failures < patience.tries) {
        await response.body?.cancel();
        ({ url } = await address());
        failures += 1;
        continue;
      }
      mustGoOn(response, received);
      const whole = size ?? wholeSize(response, received);
      for await (const chunk of response.body ?? []) {
        hash.update(chunk);
        await write(chunk);
        received += chunk.length;
        progress(received, whole);
      }
      if (size === undefined || received >= size) {
        if (whole === undefined || received >= whole) return;
      }
      throw new TypeError('the connection ended early');
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      failures = received > beforeThis ? 1 : failures + 1;
      if (failures >= patience.tries) throw brokenOff(received, error);
      await pause(patience.pause * 2 ** (failures - 1));
    }
  }
}

/** A server that does not answer ranges sends all of it again: that would be appended. */
function mustGoOn(response: Response, received: number): void {
  if (response.status >= 500) throw new TypeError(`answered ${response.status}`);
  const start = Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.NaN);
  if (response.ok && (received === 0 ? response.status === 200 : response.status === 206 && start === received)) return;
  throw refusal(
    'download-refused',
    'The download was refused',
    `The server answered ${response.status}. Run the command again.`,
  );
}

function wholeSize(response: Response, received: number): number | undefined {
  const length = response.headers.get('content-length');
  return length === null ? undefined : received + Number(length);
}

/** Hashes what an earlier call left, which may be nothing; more than there should be is cut off. How much there is. */
async function hashPart(part: string, hash: Hash, size: number | undefined): Promise<number> {
  let length = 0;
  try {
    for await (const chunk of createReadStream(part, size === undefined ? {} : { end: Math.max(0, size - 1) })) {
      hash.update(chunk);
      length += chunk.length;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  if (length > 0) await truncate(part, length);
  return length;
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
}

function mismatch({ sha256 }: Downloadable, hash: Hash): Refusal | undefined {
  if (sha256 === undefined || hash.digest('hex') === sha256) return undefined;
  return refusal(
    'checksum-mismatch',
    'The bytes are not those that were backed up',
    'Nothing was kept. Run the command again, and tell who runs the server.',
  );
}

function brokenOff(received: number, error: Error): Refusal {
  const cause = (error as { cause?: { code?: string } }).cause?.code ?? error.message;
  return refusal(
    'download-broken',
    'The download broke off',
    `After ${received} bytes: ${cause}. Run the command again: it goes on from there.`,
  );
}
