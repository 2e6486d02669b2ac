/**
 * Who is signed in where, in `${XDG_CONFIG_HOME:-~/.config}/listbackup/session.json`, readable by its owner alone. A refresh token can be
 * used once, so one process at a time refreshes (a lock file) and the others take what it got.
 */
import { chmod, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { refusal } from './refusal.ts';

/** `accessExpiresAt`: milliseconds since the epoch, by this machine's clock. */
export type Session = { email: string; accessToken: string; refreshToken: string; accessExpiresAt: number };
type SessionFile = { current: string | null; sessions: { [url: string]: Session } };

const staleLock = 30_000;

export function sessionPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'listbackup', 'session.json');
}

/** The server signed in to last, if there is one. */
export async function currentUrl(): Promise<string | null> {
  return (await load()).current;
}

export async function readSession(url: string): Promise<Session | undefined> {
  return (await load()).sessions[url];
}

/** Keeps the session and makes its server the current one. */
export function keepSession(url: string, session: Session): Promise<void> {
  return locked(() => store(url, session));
}

export function forgetSession(url: string): Promise<void> {
  return locked(() => store(url, undefined));
}

/**
 * The session after a refresh: by `exchange`, or by another process that was faster. When `exchange` gives undefined the session is over and
 * is forgotten. A failed exchange may have used the token up; the server accepts it once more within 10 s, so it is tried again.
 */
export function refreshSession(
  url: string,
  stale: Session,
  exchange: (refreshToken: string) => Promise<Session | undefined>,
): Promise<Session | undefined> {
  return locked(async () => {
    const kept = await readSession(url);
    // only refresh tokens differ for sure: access tokens of one session and second are the same bytes
    if (!kept || kept.refreshToken !== stale.refreshToken) return kept;
    const fresh = await exchange(kept.refreshToken).catch(() => exchange(kept.refreshToken));
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
  throw refusal(
    'session-unreadable',
    'The session file is damaged',
    `Remove ${path} and sign in again: \`listbackup login\`.`,
  );
}

/** Whole or not at all: a crash leaves the file as it was. */
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

/** A lock whose holder died is taken away after a while. */
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
  if (Date.now() - since > staleLock) await rm(path, { force: true });
  return false;
}
