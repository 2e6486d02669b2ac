import { get, type RequestOptions } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkAddress, isRefusedAddress, safeAgents } from '../../connectors/safe-agent.ts';
import { Problem } from '../../domain/errors.ts';
import { type S3Server, startS3Server } from '../support/s3-server.ts';

describe('an address a user gives', () => {
  test.each([
    'https://s3.example.com',
    'http://203.0.114.7:9000/path',
    'https://[2606:4700::1111]/',
    'https://10.example.com',
  ])('%s is taken', (address) => {
    expect(checkAddress(address, [], 'url').href).toBe(new URL(address).href);
  });

  test.each([
    ['no URL', 's3.example.com'],
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
    ['loopback by a full name', 'http://localhost.'],
    ['loopback below its name', 'http://s3.localhost'],
    ['this host', 'http://0.0.0.0'],
    ['the metadata of a cloud', 'http://169.254.169.254/latest/meta-data'],
    ['ten', 'https://10.0.0.1'],
    ['172.16', 'https://172.16.0.1'],
    ['192.168', 'https://192.168.1.1'],
    ['a carrier’s', 'https://100.64.0.1'],
    ['a unique local one', 'https://[fd00::1]'],
    ['a link-local one', 'https://[fe80::1]'],
    ['multicast', 'https://224.0.0.1'],
  ])('%s is refused, naming the field', (_what, address) => {
    const refusal = problemWith(() => checkAddress(address, ['allowed.example'], 'config.endpoint'));
    expect(refusal).toMatchObject({ code: 'invalid-input', errors: [{ path: 'config.endpoint' }] });
    expect(refusal.message + refusal.errors?.[0]?.message).not.toContain('secret');
  });

  test('an exempt host is taken, on its port where one is given', () => {
    expect(checkAddress('http://127.0.0.1:9000', ['127.0.0.1'], 'url').port).toBe('9000');
    expect(checkAddress('http://127.0.0.1:9000', [' 127.0.0.1:9000 '], 'url').port).toBe('9000');
    expect(checkAddress('http://localhost', ['LOCALHOST:80'], 'url').hostname).toBe('localhost');
    expect(checkAddress('https://[::1]', ['[::1]:443'], 'url').hostname).toBe('[::1]');
    expect(checkAddress('https://[::1]:8443', ['::1'], 'url').port).toBe('8443');
    problemWith(() => checkAddress('http://127.0.0.1:9001', ['127.0.0.1:9000'], 'url'));
    problemWith(() => checkAddress('http://127.0.0.2', ['127.0.0.1', ''], 'url'));
  });
});

describe('a safe agent', () => {
  let server: S3Server;
  beforeEach(async () => {
    server = await startS3Server();
  });
  afterEach(() => server.close());

  /** The status; every name resolves to this machine, whatever was checked before. */
  async function ask(host: string, allowHosts: string[], options: RequestOptions = {}): Promise<number | undefined> {
    const agents = safeAgents(allowHosts, {});
    const toHere = {
      lookup: (_name, { all }, done) => done(null, all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
    } as RequestOptions;
    try {
      return await new Promise((resolve, reject) => {
        const port = Number(server.host.split(':')[1]);
        get({ host, port, agent: agents.httpAgent, ...toHere, ...options }, (response) =>
          resolve(response.resume().statusCode),
        ).on('error', reject);
      });
    } finally {
      agents.httpAgent.destroy();
      agents.httpsAgent.destroy();
    }
  }

  test('refuses a name that has come to mean a private address', async () => {
    expect(isRefusedAddress(await ask('rebound.example', []).catch((error: unknown) => error))).toBe(true);
    expect(isRefusedAddress(await ask('127.0.0.1', ['127.0.0.1:1']).catch((error: unknown) => error))).toBe(true);
    expect(server.requests).toEqual([]);
  });

  test('connects to exempt hosts', async () => {
    expect(await ask('rebound.example', ['rebound.example'])).toBe(403);
    expect(await ask('127.0.0.1', [server.host])).toBe(403);
  });

  test('refuses over TLS as well', async () => {
    const agents = safeAgents([], {});
    const { get: getSafely } = await import('node:https');
    const error = await new Promise((resolve) =>
      getSafely({ host: '127.0.0.1', port: server.host.split(':')[1], agent: agents.httpsAgent }).on('error', resolve),
    );
    expect(isRefusedAddress(error)).toBe(true);
  });
});

function problemWith(refused: () => unknown): Problem {
  try {
    refused();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was taken');
}
