/** Sends malformed requests of every kind to every route of the self-hosted deployment. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { silent, temporaryFolder } from '../support/embedded.ts';
import { type Case, casesFor, validRequest, wrongMethods } from './attack/cases.ts';
import { type Document, type Operation, operationsOf } from './attack/document.ts';
import { attack } from './attack/evaluate.ts';
import { foreignFaults } from './attack/foreign.ts';
import { sender } from './attack/send.ts';
import { makeWorld, type World } from './attack/world.ts';

let root: string;
let deployment: RunningServer;
let world: World;
let operations: Operation[];
const log: unknown[] = [];

beforeAll(async () => {
  root = await temporaryFolder();
  const data = join(root, 'data');
  const folder = join(root, 'files');
  await mkdir(folder);
  await writeFile(join(folder, 'a.txt'), 'some text');
  const settings = readSettings([], {
    PORT: '0',
    LISTBACKUP_DATA: data,
    LISTBACKUP_FOLDERS: folder,
    LISTBACKUP_RATE_LIMIT: '0',
  });
  deployment = await startServer({ ...settings, port: 0 }, { ...silent, error: (...line) => log.push(line) });
  const connect = (api: Parameters<Parameters<typeof makeWorld>[1]>[0]) =>
    api.expect(201, 'POST', '/sources', { body: { type: 'folder', name: 'Files', config: { path: folder } } });
  world = await makeWorld(deployment.url, connect);
  const [, claims = ''] = world.ada.token.split('.');
  const { iat: _iat, exp: _exp, ...rest } = JSON.parse(Buffer.from(claims, 'base64url').toString());
  const secret = await deployment.embedded.platform.secrets.get('jwt-secret');
  world.expired = await new SignJWT(rest)
    .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
    .setIssuedAt('-1h')
    .setExpirationTime('-1m')
    .sign(new TextEncoder().encode(secret));
  operations = operationsOf((await (await fetch(`${deployment.url}/openapi.json`)).json()) as Document);
});
afterAll(async () => {
  await deployment.close();
  await rm(root, { recursive: true, force: true });
});

const faults = (cases: readonly Case[]) => attack(cases, sender(deployment.url));

test('rejects each malformed request with a problem that names the field, and logs no error', async () => {
  const cases = operations.flatMap((operation) => casesFor(operation, world));
  expect(cases.length).toBeGreaterThan(operations.length * 30);
  expect(await faults(cases)).toEqual([]);
  expect(log).toEqual([]);
});

test('answers 405 with Allow to every other method, with and without a body', async () => {
  expect(await faults(wrongMethods(operations, world))).toEqual([]);
});

test('answers HEAD like GET without the body, and OPTIONS with the methods', async () => {
  const send = sender(deployment.url);
  for (const operation of operations) {
    const valid = validRequest(operation, world);
    const options = await send({ method: 'OPTIONS', path: valid.path });
    expect([operation.url, options.status, options.headers.allow]).toEqual([
      operation.url,
      204,
      expect.stringContaining(operation.method),
    ]);
    if (operation.method !== 'GET') continue;
    const [get, head] = [await send(valid), await send({ ...valid, method: 'HEAD' })];
    expect([operation.url, head.status, head.text]).toEqual([operation.url, get.status, '']);
    expect(get.status).toBe(200);
  }
});

test('answers 416 to a range after the end, and ignores a malformed one', async () => {
  const send = sender(deployment.url);
  const path = `/downloads/${world.ada.ids.downloads}`;
  const afterEnd = {
    what: 'a range after the end',
    sent: { method: 'GET', path, headers: { range: 'bytes=100-' } },
    status: 416,
  };
  expect(await faults([afterEnd])).toEqual([]);
  for (const range of ['bytes=x', 'lines=1-2', 'bytes=5-2', 'bytes=0-1,3-4', 'bytes', `bytes=${'9'.repeat(400)}-x`]) {
    expect([range, (await send({ method: 'GET', path, headers: { range } })).status]).toEqual([range, 200]);
  }
});

test('treats ids of another account like ids that do not exist', async () => {
  expect(await foreignFaults(operations, world, sender(deployment.url))).toEqual([]);
});
