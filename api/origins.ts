/** From where this API may be called: names of its own, and pages of other origins. */
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';

/** The origins in the secret `cors-origin` (comma-separated, or `*`); none when it is not set. */
export async function corsOrigins(platform: Pick<Platform, 'secrets'>): Promise<string[]> {
  const text = (await platform.secrets.get('cors-origin')) ?? '';
  return text
    .split(',')
    .map((origin) => origin.trim())
    .filter(Boolean);
}

/** Keeps web pages elsewhere from reaching a box at home by a name of theirs (DNS rebinding). Throws Problem `misdirected-request`. */
export function requireHost(host: string | undefined, trusted: readonly string[] | undefined): void {
  const name = (host ?? '').replace(/:\d*$/, '').toLowerCase();
  if (trusted && !trusted.includes(name))
    throw new Problem('misdirected-request', 'Use one of the names this server was set up with.');
}

/**
 * Browsers ask no server before they open a WebSocket, so the server asks who is calling: pages of this very host or of `cors-origin`,
 * and programs, which name no origin. Throws Problem `forbidden`.
 */
export async function requireOrigin(
  platform: Pick<Platform, 'secrets'>,
  headers: { origin?: string | undefined; host?: string | undefined },
): Promise<void> {
  const { origin, host } = headers;
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)) return;
  const allowed = await corsOrigins(platform);
  if (!allowed.includes('*') && !allowed.includes(origin)) {
    throw new Problem('forbidden', 'Pages of this origin may not call. Its owner can allow it in cors-origin.');
  }
}
