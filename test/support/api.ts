/** The API over the embedded home in a folder of its own, with a clock that tests turn, people who are signed in, and routes to try. */
import type { FastifyInstance, InjectOptions } from 'fastify';
import { onTestFinished } from 'vitest';
import { type AppOptions, buildApp } from '../../api/app.ts';
import { auth } from '../../api/routes/auth.ts';
import { health } from '../../api/routes/health.ts';
import { openSession } from '../../api/sessions.ts';
import type { JsonObject, Log, Machine } from '../../domain/ports.ts';
import { openTestHome } from './embedded.ts';

export const ada = { userId: 'usr_ada', accountId: 'acc_ada', role: 'owner' };
export const bob = { userId: 'usr_bob', accountId: 'acc_bob', role: 'owner' };

type Line = { level: 'info' | 'warn' | 'error'; message: string; fields: JsonObject | undefined; error: unknown };
export type TestMachine = Machine & { clock: { now: number }; lines: Line[] };
export type TestApi = { app: FastifyInstance; machine: TestMachine };

/** A machine whose time stands still unless it is turned. `environment` may hold secrets. Gone when the test ends. */
export async function testMachine(environment: { [name: string]: string } = {}): Promise<TestMachine> {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const lines: Line[] = [];
  const line =
    (level: Line['level']): Log['info'] & Log['error'] =>
    (message, fields, error?) => {
      lines.push({ level, message, fields, error });
    };
  const log = { info: line('info'), warn: line('warn'), error: line('error'), measure() {} };
  const { machine } = await openTestHome({ log, now: () => clock.now, environment });
  return { ...machine, clock, lines };
}

/** The given routes (else those to sign in with) over such a machine. */
export async function testApi(options: Partial<AppOptions> = {}, environment: { [name: string]: string } = {}): Promise<TestApi> {
  const machine = await testMachine(environment);
  return { machine, app: await appOver(machine, options) };
}

/** A further process over the same machine, as it were. */
export async function appOver(machine: Machine, options: Partial<AppOptions> = {}): Promise<FastifyInstance> {
  const app = await buildApp({
    machine,
    home: 'embedded',
    connectorContext: () => ({ allowHosts: [] }),
    followers: [],
    rateScale: 0,
    routes: [health, auth],
    ...options,
  });
  onTestFinished(() => app.close());
  return app;
}

/** A way to call as that person, signed in anew. */
export async function as({ app, machine }: { app: FastifyInstance; machine: Machine }, person = ada) {
  const { accessToken } = await openSession(machine, person);
  return (request: InjectOptions) => app.inject({ ...request, headers: { authorization: `Bearer ${accessToken}`, ...request.headers } });
}
