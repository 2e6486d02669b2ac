/** Sends the same malformed requests to the AWS deployment, through its gateway and the Lambda adapter. */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { beforeAll, expect, inject, test } from 'vitest';
import { ministackClients } from '../emulator/aws-resources.ts';
import { deployedUrl } from '../emulator/deployed.ts';
import { casesFor, wrongMethods } from './attack/cases.ts';
import { type Document, type Operation, operationsOf } from './attack/document.ts';
import { attack } from './attack/evaluate.ts';
import { foreignFaults } from './attack/foreign.ts';
import { sender } from './attack/send.ts';
import { makeWorld, type World } from './attack/world.ts';

let world: World;
let operations: Operation[];

beforeAll(async () => {
  const url = await deployedUrl();
  const { endpoint, region } = inject('ministack');
  const clients = ministackClients();
  world = await makeWorld(url, async (api) => {
    const bucket = `source-${randomBytes(6).toString('hex')}`;
    await clients.s3().send(new CreateBucketCommand({ Bucket: bucket }));
    await clients.s3().send(new PutObjectCommand({ Bucket: bucket, Key: 'a.txt', Body: 'some text' }));
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    const body = { type: 's3', name: 'Bucket', config: { bucket, endpoint, region }, credentials };
    return api.expect(201, 'POST', '/sources', { body });
  });
  clients.close();
  operations = operationsOf((await (await fetch(`${url}/openapi.json`)).json()) as Document);
});

test('rejects each malformed request with a problem that names the field', async () => {
  const cases = operations.flatMap((operation) => casesFor(operation, world));
  expect(cases.length).toBeGreaterThan(operations.length * 30);
  expect(await attack(cases, sender(world.url))).toEqual([]);
});

test('answers 405 with Allow to every other method', async () => {
  expect(await attack(wrongMethods(operations, world), sender(world.url))).toEqual([]);
});

test('treats ids of another account like ids that do not exist', async () => {
  expect(await foreignFaults(operations, world, sender(world.url))).toEqual([]);
});
