/**
 * Guards against server-side request forgery: users give addresses, and none may lead into our own network.
 * `checkAddress` rejects a private address with a clear message. The agents check the real IP address of each
 * connection again. So a name that resolves to another address later gains an attacker nothing.
 */
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { TcpNetConnectOpts } from 'node:net';
import ipaddr from 'ipaddr.js';
import { RequestFilteringHttpAgent, RequestFilteringHttpsAgent } from 'request-filtering-agent';
import { Problem } from '../domain/errors.ts';

/**
 * The URL that a user gave, validated. `allowHosts` (`host` or `host:port`) may be private.
 * @throws Problem `invalid-input` that names `field`: not an http(s) URL, a URL with user name or password, or a
 * private, loopback or link-local host
 */
export function checkAddress(address: string, allowHosts: readonly string[], field: string): URL {
  const refuse = (message: string) =>
    new Problem('invalid-input', `Correct \`${field}\` and send the request again.`, {
      errors: [{ path: field, message }],
    });
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw refuse('Give a URL that starts with https:// or http://.');
  if (url.username !== '' || url.password !== '') throw refuse('Give the URL without a user name and password.');
  if (isAllowed(url.hostname, portOf(url), allowHosts)) return url;
  if (isPrivate(bare(url.hostname))) {
    throw refuse(
      'This host is on a private network. The operator of ListBackup can allow it in LISTBACKUP_ALLOW_HOSTS.',
    );
  }
  return url;
}

/** Agents that connect only to public addresses and to `allowHosts`. The caller destroys them. */
export function safeAgents(
  allowHosts: readonly string[],
  options: AgentOptions,
): { httpAgent: HttpAgent; httpsAgent: HttpsAgent } {
  return {
    httpAgent: withAllowedHosts(new RequestFilteringHttpAgent(options), new HttpAgent(options), allowHosts),
    httpsAgent: withAllowedHosts(new RequestFilteringHttpsAgent(options), new HttpsAgent(options), allowHosts),
  };
}

/** Whether a safe agent refused the connection. */
export function isRefusedAddress(error: unknown): boolean {
  return error instanceof Error && /^DNS lookup .* is not allowed\. Because/.test(error.message);
}

/** The plain agent connects to allowed hosts. The filtering agent connects to all others and keeps the pool. */
function withAllowedHosts<A extends HttpAgent>(filtering: A, plain: HttpAgent, allowHosts: readonly string[]): A {
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

/** The host in lower case, without the brackets of IPv6 and the final dot of a fully qualified name. */
function bare(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');
}

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80));
}

function isPrivate(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return ipaddr.isValid(host) && ipaddr.parse(host).range() !== 'unicast';
}
