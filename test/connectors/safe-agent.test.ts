import { get, type RequestOptions } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkAddress, isRefusedAddress, safeAgents } from '../../connectors/safe-agent.ts';
import { Problem } from '../../domain/errors.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';

describe('checkAddress', () => {
  test.each([
    'https://s3.example.com',
    'http://203.0.114.7:9000/path',
    'https://[2606:4700::1111]/',
    'https://10.example.com',
  ])('accepts %s', (address) => {
    expect(checkAddress(address, [], 'url').href).toBe(new URL(address).href);
  });

  test.each([
    ['text that is not a URL', 's3.example.com'],
    ['another scheme', 'ftp://s3.example.com'],
    ['a file', 'file:///etc/passwd'],
    ['a user name', 'https://user@s3.example.com'],
    ['a password', 'https://:secret@s3.example.com'],
    ['loopback', 'http://127.0.0.1:9000'],
    ['loopback in hexadecimal', 'http://0x7f000001'],
    ['loopback as a number', 'http://2130706433'],
    ['loopback in IPv6', 'http://[::1]:9000'],
    ['loopback mapped to IPv6', 'http://[::ffff:127.0.0.1]'],
    ['loopback by name', 'http://LocalHost:9000'],
    ['loopback by a fully qualified name', 'http://localhost.'],
    ['a subdomain of localhost', 'http://s3.localhost'],
    ['this host', 'http://0.0.0.0'],
    ['cloud metadata', 'http://169.254.169.254/latest/meta-data'],
    ['10.0.0.0/8', 'https://10.0.0.1'],
    ['172.16.0.0/12', 'https://172.16.0.1'],
    ['192.168.0.0/16', 'https://192.168.1.1'],
    ['carrier-grade NAT', 'https://100.64.0.1'],
    ['a unique local address', 'https://[fd00::1]'],
    ['a link-local address', 'https://[fe80::1]'],
    ['multicast', 'https://224.0.0.1'],
  ])('rejects %s and names the field', (_kind, address) => {
    const problem = problemWith(() => checkAddress(address, ['allowed.example'], 'config.endpoint'));
    expect(problem).toMatchObject({ code: 'invalid-input', errors: [{ path: 'config.endpoint' }] });
    expect(problem.message + problem.errors?.[0]?.message).not.toContain('secret');
  });

  test('accepts an allowed host, only on its port if one is given', () => {
    expect(checkAddress('http://127.0.0.1:9000', ['127.0.0.1'], 'url').port).toBe('9000');
    expect(checkAddress('http://127.0.0.1:9000', [' 127.0.0.1:9000 '], 'url').port).toBe('9000');
    expect(checkAddress('http://localhost', ['LOCALHOST:80'], 'url').hostname).toBe('localhost');
    expect(checkAddress('https://[::1]', ['[::1]:443'], 'url').hostname).toBe('[::1]');
    expect(checkAddress('https://[::1]:8443', ['::1'], 'url').port).toBe('8443');
    problemWith(() => checkAddress('http://127.0.0.1:9001', ['127.0.0.1:9000'], 'url'));
    problemWith(() => checkAddress('http://127.0.0.2', ['127.0.0.1', ''], 'url'));
  });
});

describe('safeAgents', () => {
  let server: S3Server;
  beforeEach(async () => {
    server = await startS3Server();
  });
  afterEach(() => server.close());

  /** Sends a request and returns the status. Every name resolves to 127.0.0.1. */
  async function request(
    host: string,
    allowHosts: string[],
    options: RequestOptions = {},
  ): Promise<number | undefined> {
    const agents = safeAgents(allowHosts, {});
    const resolveToLoopback = {
      lookup: (_name, { all }, done) => done(null, all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
    } as RequestOptions;
    try {
      return await new Promise((resolve, reject) => {
        const port = Number(server.host.split(':')[1]);
        get({ host, port, agent: agents.httpAgent, ...resolveToLoopback, ...options }, (response) =>
          resolve(response.resume().statusCode),
        ).on('error', reject);
      });
    } finally {
      agents.httpAgent.destroy();
      agents.httpsAgent.destroy();
    }
  }

  test('refuses a name that resolves to a private address', async () => {
    expect(isRefusedAddress(await request('rebound.example', []).catch((error: unknown) => error))).toBe(true);
    expect(isRefusedAddress(await request('127.0.0.1', ['127.0.0.1:1']).catch((error: unknown) => error))).toBe(true);
    expect(server.requests).toEqual([]);
  });

  test('connects to allowed hosts', async () => {
    expect(await request('rebound.example', ['rebound.example'])).toBe(403);
    expect(await request('127.0.0.1', [server.host])).toBe(403);
  });

  test('refuses private addresses over TLS too', async () => {
    const agents = safeAgents([], {});
    const { get: getSafely } = await import('node:https');
    const error = await new Promise((resolve) =>
      getSafely({ host: '127.0.0.1', port: server.host.split(':')[1], agent: agents.httpsAgent }).on('error', resolve),
    );
    expect(isRefusedAddress(error)).toBe(true);
  });
});

function problemWith(act: () => unknown): Problem {
  try {
    act();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('no Problem was thrown');
}
