/**
 * Reaching addresses that users give without being turned against our own network (server-side request forgery). `checkAddress`
 * refuses early and plainly; the agents look again at the IP address each connection really goes to, so a name that resolves to
 * something else a moment later gains nothing.
 */
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { TcpNetConnectOpts } from 'node:net';
import ipaddr from 'ipaddr.js';
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent';
import { Problem } from '../domain/errors.ts';

/**
 * An address a user gave, as a URL. `allowHosts`: names exempt from the ban on private addresses, as `host` or `host:port`.
 * @throws Problem `invalid-input` naming `field`: no http(s) URL, a user name or password in it, or a private, loopback or link-local host
 */
export function checkAddress(address: string, allowHosts: readonly string[], field: string): URL {
  const refuse = (message: string) =>
    new Problem('invalid-input', `Correct ${field}.`, { errors: [{ path: field, message }] });
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw refuse('Give a URL that starts with https:// or http://.');
  if (url.username !== '' || url.password !== '') throw refuse('Give the URL without a user name and password.');
  if (isAllowed(url.hostname, portOf(url), allowHosts)) return url;
  if (isOurs(bare(url.hostname))) {
    throw refuse(
      'This host is on a private network, which is not reached from here. Whoever runs ListBackup can allow it in LISTBACKUP_ALLOW_HOSTS.',
    );
  }
  return url;
}

/** Agents that connect to public addresses and to `allowHosts` only. Destroy them when done. */
export function safeAgents(
  allowHosts: readonly string[],
  options: AgentOptions,
): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } {
  return {
    httpAgent: exempting(new RequestFilteringHttpAgent(options), new HttpAgent(options), allowHosts),
    httpsAgent: exempting(new RequestFilteringHttpsAgent(options), new HttpsAgent(options), allowHosts),
  };
}

/** Whether the error is a safe agent's refusal to connect. */
export function isRefusedAddress(error: unknown): boolean {
  return error instanceof Error && /^DNS lookup .* is not allowed\. Because/.test(error.message);
}

/** Lets the plain agent make the connections to exempt hosts; the filtering one keeps the pool. */
function exempting<A extends HttpAgent>(filtering: A, plain: HttpAgent, allowHosts: readonly string[]): A {
  const filtered = filtering.createConnection.bind(filtering);
  filtering.createConnection = (options, connected) => {
    const { host, port } = options as TcpNetConnectOpts;
    return isAllowed(host ?? '', Number(port), allowHosts)
      ? plain.createConnection(options, connected)
      : filtered(options, connected);
  };
  return filtering;
}

function isAllowed(host: string, port: number, allowHosts: readonly string[]): boolean {
  return allowHosts.some((allowed) => {
    const name = allowed.trim().toLowerCase();
    return (
      name !== '' && (bare(name) === bare(host) || name === `${host}:${port}` || name === `[${bare(host)}]:${port}`)
    );
  });
}

/** Without the brackets of IPv6 and the dot of a full name. */
function bare(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80));
}

function isOurs(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return ipaddr.isValid(host) && ipaddr.parse(host).range() !== 'unicast';
}
