/** Downloads bytes from an address. After a broken connection it requests only the missing range. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fromServer, type ProblemDocument, type Refusal, refusal } from './refusal.ts';

/** `sha256` and `size` (bytes) of the whole content, if known before the download. */
export type Downloadable = { url: string; size?: number | undefined; sha256?: string | undefined };

/** Returns a download address. Called again when the address has expired. */
export type Address = () => Promise<Downloadable>;

/** `attempts`: failures in a row without a received byte. `pause`: milliseconds after the first, doubled each time. */
type Retries = { attempts: number; pause: number };
/** About half a minute. */
const defaultRetries: Retries = { attempts: 8, pause: 250 };

export type Progress = (received: number, size: number | undefined) => void;

/**
 * Downloads to the file `target`. The file appears complete and verified, or not at all. Until then the bytes are in a
 * `.part` file beside it, which a later call continues. The name of that file has the hash, so its content always fits.
 * Throws a refusal if the bytes do not match the hash.
 */
export async function downloadTo(
  target: string,
  address: Address,
  progress: Progress = () => {},
  retries = defaultRetries,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const first = await address();
  const part = `${target}.${first.sha256?.slice(0, 12) ?? 'download'}.part`;
  // The user chose the target, and does not know the part.
  const nameTarget = (error: Error): never => {
    throw Object.assign(error, { path: target, message: error.message.replace(part, target) });
  };
  // Without a hash, an old part may belong to other content.
  if (first.sha256 === undefined) await rm(part, { force: true });
  for (;;) {
    const hash = createHash('sha256');
    const before = await hashPart(part, hash, first.size).catch(nameTarget);
    const file = await open(part, before === 0 ? 'w' : 'a', 0o600).catch(nameTarget);
    let failed: Refusal | undefined;
    try {
      await receive(first, address, before, hash, (chunk) => writeAll(file, chunk), progress, retries);
      failed = mismatch(first, hash);
      await file.sync();
    } finally {
      await file.close();
    }
    if (!failed) return rename(part, target);
    await rm(part, { force: true });
    // The part of an earlier call may be damaged. Start once more without it.
    if (before === 0) throw failed;
  }
}

/** Downloads to a stream, in order. Verifies the hash at the end, after all bytes are written. */
export async function downloadThrough(
  write: (chunk: Uint8Array) => Promise<void>,
  address: Address,
  progress: Progress = () => {},
): Promise<void> {
  const first = await address();
  const hash = createHash('sha256');
  await receive(first, address, 0, hash, write, progress, defaultRetries);
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
  retries: Retries,
): Promise<void> {
  const { size } = first;
  let { url } = first;
  let received = before;
  let failures = 0;
  progress(received, size);
  while (received !== size || (size === 0 && received === 0)) {
    const receivedBefore = received;
    try {
      const response = await fetch(url, received === 0 ? {} : { headers: { range: `bytes=${received}-` } });
      if ([403, 404, 410].includes(response.status) && failures < retries.attempts) {
        await response.body?.cancel();
        ({ url } = await address());
        failures += 1;
        continue;
      }
      await requireContinuation(response, received);
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
      failures = received > receivedBefore ? 1 : failures + 1;
      if (failures >= retries.attempts) throw interruptedDownload(received, error);
      await pause(retries.pause * 2 ** (failures - 1));
    }
  }
}

/** Throws unless the response starts at the next missing byte. A server without range support sends all bytes again. */
async function requireContinuation(response: Response, received: number): Promise<void> {
  if (response.status >= 500) throw new TypeError(`answered ${response.status}`);
  const start = Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.NaN);
  if (response.ok && (received === 0 ? response.status === 200 : response.status === 206 && start === received)) return;
  if (/problem\+json/.test(response.headers.get('content-type') ?? ''))
    throw fromServer((await response.json()) as ProblemDocument, response.url);
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

/** Hashes the part of an earlier call, cuts bytes beyond `size`, and returns its length. 0 if there is none. */
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
    'The downloaded bytes do not match the backup',
    'The file was not kept. Run the command again. If it fails again, tell the operator of the server.',
  );
}

function interruptedDownload(received: number, error: Error): Refusal {
  const cause = (error as { cause?: { code?: string } }).cause?.code ?? error.message;
  return refusal(
    'download-broken',
    'The download was interrupted',
    `The connection failed after ${received} bytes (${cause}). Run the command again to continue from there.`,
  );
}
