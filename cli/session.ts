/**
 * Sessions by server, in `${XDG_CONFIG_HOME:-~/.config}/listbackup/session.json`, readable by the owner only.
 * A refresh token can be used once. So one process refreshes under a lock file, and the others use its result.
 */
import { chmod, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { refusal } from './refusal.ts';

/** `accessExpiresAt`: milliseconds since the epoch, by the local clock. */
export type Session = { email: string; accessToken: string; refreshToken: string; accessExpiresAt: number };
type SessionFile = { current: string | null; sessions: { [url: string]: Session } };

const staleLockMs = 30_000;

export function sessionPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'listbackup', 'session.json');
}

/** Returns the URL of the last sign-in, or null. */
export async function currentUrl(): Promise<string | null> {
  return (await load()).current;
}

export async function readSession(url: string): Promise<Session | undefined> {
  return (await load()).sessions[url];
}

/** Stores the session and makes its server the current one. */
export function keepSession(url: string, session: Session): Promise<void> {
  return locked(() => store(url, session));
}

export function forgetSession(url: string): Promise<void> {
  return locked(() => store(url, undefined));
}

/**
 * Refreshes the session with `exchange`, unless another process already did, and returns it.
 * If `exchange` returns undefined, the session has ended and is forgotten. A failed exchange may have used the token.
 * The server accepts it once more within 10 s, so the exchange is tried twice.
 */
export function refreshSession(
  url: string,
  stale: Session,
  exchange: (refreshToken: string) => Promise<Session | undefined>,
): Promise<Session | undefined> {
  return locked(async () => {
    const stored = await readSession(url);
    // Compare refresh tokens: two access tokens of the same second are equal.
    if (!stored || stored.refreshToken !== stale.refreshToken) return stored;
    const fresh = await exchange(stored.refreshToken).catch(() => exchange(stored.refreshToken));
    await store(url, fresh);
    return fresh;
  });
}

async function load(): Promise<SessionFile> {
  const path = sessionPath();
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { current: null, sessions: {} };
    throw error;
  }
  try {
    const file = JSON.parse(text) as SessionFile;
    if (typeof file.sessions === 'object' && file.sessions !== null) return file;
  } catch {}
  throw refusal('session-unreadable', 'The session file is damaged', `Delete ${path}, then run \`listbackup login\`.`);
}

/** Replaces the file atomically. A crash leaves the old file. */
async function store(url: string, session: Session | undefined): Promise<void> {
  const path = sessionPath();
  const { current, sessions } = await load();
  const { [url]: _before, ...others } = sessions;
  const file: SessionFile = session
    ? { current: url, sessions: { ...others, [url]: session } }
    : { current: current === url ? (Object.keys(others)[0] ?? null) : current, sessions: others };
  const next = `${path}.${process.pid}.new`;
  await writeFile(next, `${JSON.stringify(file, null, 2)}\n`, { mode: 0o600 });
  await chmod(next, 0o600);
  await rename(next, path);
}

async function locked<T>(work: () => Promise<T>): Promise<T> {
  const path = `${sessionPath()}.lock`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  while (!(await tryLock(path))) await pause(50);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

/** Creates the lock file. Removes a stale lock, whose owner crashed. */
async function tryLock(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const since = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => Number.POSITIVE_INFINITY,
  );
  if (Date.now() - since > staleLockMs) await rm(path, { force: true });
  return false;
}
