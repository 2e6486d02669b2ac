/** Decides which `Host` names reach this API and which web origins may call it. */
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';

/** Returns the origins in the secret `cors-origin` (comma-separated, or `*`), none if it is not set. */
export async function corsOrigins(platform: Pick<Platform, 'secrets'>): Promise<string[]> {
  const text = (await platform.secrets.get('cors-origin')) ?? '';
  return text
    .split(',')
    .map((origin) => origin.trim())
    .filter(Boolean);
}

/**
 * A host name or address and an optional port, without user or path (RFC 9110 §7.2). `URL.canParse` checks the rest.
 */
const hostPattern = /^(\[[\da-f:.]+\]|[^\s@/?#\\:[\]]+)(:\d*)?$/i;

/**
 * Rejects requests without exactly one well-formed `Host` header (Problem `invalid-input`). Where the trusted names
 * are known, it also rejects every other name (Problem `misdirected-request`). That stops web pages that reach a
 * self-hosted server under their own name (DNS rebinding).
 */
export function requireHost(
  { headers, rawHeaders }: { headers: { host?: string | undefined }; rawHeaders: readonly string[] },
  trusted: readonly string[] | undefined,
): void {
  const host = headers.host ?? '';
  // Node keeps the first of two Host headers in `headers`. Only `rawHeaders` shows that there were two.
  const count = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  if (count !== 1 || !hostPattern.test(host) || !URL.canParse(`http://${host}`)) {
    const message = 'Send one Host header with a host name and, optionally, a port.';
    throw new Problem('invalid-input', message, { errors: [{ path: 'Host', message }] });
  }
  if (trusted && !trusted.includes(host.replace(/:\d*$/, '').toLowerCase())) {
    const detail = 'Use a host name that this server trusts. Its operator sets them in LISTBACKUP_HOSTNAMES.';
    throw new Problem('misdirected-request', detail);
  }
}

/**
 * Checks the `Origin` of a WebSocket request, because browsers send no CORS preflight for one. Accepts pages of the
 * same host, the origins in `cors-origin`, and programs, which send no `Origin`. Throws Problem `forbidden`
 * otherwise.
 */
export async function requireOrigin(
  platform: Pick<Platform, 'secrets'>,
  headers: { origin?: string | undefined; host?: string | undefined },
): Promise<void> {
  const { origin, host } = headers;
  if (origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)) return;
  const allowed = await corsOrigins(platform);
  if (!allowed.includes('*') && !allowed.includes(origin)) {
    throw new Problem(
      'forbidden',
      'Pages of this origin may not open a live socket. The operator can allow the origin in the secret cors-origin.',
    );
  }
}
