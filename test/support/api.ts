/** The API over a machine in memory, with a person who is signed in, and routes that tests declare. */
import type { FastifyInstance, InjectOptions } from 'fastify';
import { onTestFinished } from 'vitest';
import { type AppOptions, buildApp } from '../../api/app.ts';
import { routes } from '../../api/routes/index.ts';
import { openSession } from '../../api/sessions.ts';
import { type MemoryMachine, memoryMachine } from './memory-machine.ts';

export const ada = { userId: 'usr_ada', accountId: 'acc_ada', role: 'owner' };
export const bob = { userId: 'usr_bob', accountId: 'acc_bob', role: 'owner' };

export type TestApi = { app: FastifyInstance; machine: MemoryMachine };

/** The routes of the product, and those given, on a machine in memory. Closed when the test ends. */
export async function testApi(options: Partial<AppOptions> = {}, machine = memoryMachine()): Promise<TestApi> {
  const app = await buildApp({
    machine,
    home: 'embedded',
    connectorContext: { allowHosts: [] },
    followers: [],
    rateScale: 0,
    ...options,
    routes: [...routes, ...(options.routes ?? [])],
  });
  onTestFinished(() => app.close());
  return { app, machine };
}

/** A way to call as that person, signed in anew. */
export async function as({ app, machine }: TestApi, person = ada) {
  const { accessToken } = await openSession(machine, person);
  return (request: InjectOptions) => app.inject({ ...request, headers: { authorization: `Bearer ${accessToken}`, ...request.headers } });
}
