/** Every route under every kind of wrong request, made from the API's own description, against the home over HTTP. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { silent, temporaryFolder } from '../support/embedded.ts';
import { type Case, casesFor, rightRequest, wrongMethods } from './attack/cases.ts';
import { type Document, type Operation, operationsOf } from './attack/document.ts';
import { attacked } from './attack/evaluate.ts';
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

const faults = (cases: readonly Case[]) => attacked(cases, sender(deployment.url));

test('each is refused by a problem that says what to do and names the field, and none is our fault', async () => {
  const cases = operations.flatMap((operation) => casesFor(operation, world));
  expect(cases.length).toBeGreaterThan(operations.length * 30);
  expect(await faults(cases)).toEqual([]);
  expect(log).toEqual([]);
});

test('any other method is 405 with what is allowed, signed in or not, whatever its body', async () => {
  expect(await faults(wrongMethods(operations, world))).toEqual([]);
});

test('HEAD is GET without the body, OPTIONS tells what there is', async () => {
  const send = sender(deployment.url);
  for (const operation of operations) {
    const right = rightRequest(operation, world);
    const options = await send({ method: 'OPTIONS', path: right.path });
    expect([operation.url, options.status, options.headers.allow]).toEqual([
      operation.url,
      204,
      expect.stringContaining(operation.method),
    ]);
    if (operation.method !== 'GET') continue;
    const [get, head] = [await send(right), await send({ ...right, method: 'HEAD' })];
    expect([operation.url, head.status, head.text]).toEqual([operation.url, get.status, '']);
    expect(get.status).toBe(200);
  }
});

test('a range behind the end is 416, one that cannot be read is none', async () => {
  const send = sender(deployment.url);
  const path = `/downloads/${world.ada.ids.downloads}`;
  const behind = {
    what: 'behind the end',
    sent: { method: 'GET', path, headers: { range: 'bytes=100-' } },
    status: 416,
  };
  expect(await faults([behind])).toEqual([]);
  for (const range of ['bytes=x', 'lines=1-2', 'bytes=5-2', 'bytes=0-1,3-4', 'bytes', `bytes=${'9'.repeat(400)}-x`]) {
    expect([range, (await send({ method: 'GET', path, headers: { range } })).status]).toEqual([range, 200]);
  }
});

test("another account's anything is as if it never was, wherever its id is put", async () => {
  expect(await foreignFaults(operations, world, sender(deployment.url))).toEqual([]);
});
