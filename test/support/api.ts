/** The API over the embedded home in a folder of its own, with a clock that tests turn, people who are signed in, and routes to try. */
import type { FastifyInstance, InjectOptions } from 'fastify';
import { onTestFinished } from 'vitest';
import { type AppOptions, buildApp } from '../../api/app.ts';
import { auth } from '../../api/routes/auth.ts';
import { health } from '../../api/routes/health.ts';
import { openSession } from '../../api/sessions.ts';
import type { JsonObject, Log, Platform } from '../../domain/ports.ts';
import { openTestPlatform } from './embedded.ts';

export const ada = { userId: 'usr_ada', accountId: 'acc_ada', role: 'owner' };
export const bob = { userId: 'usr_bob', accountId: 'acc_bob', role: 'owner' };

type LogLine = { level: 'info' | 'warn' | 'error'; message: string; fields: JsonObject | undefined; error: unknown };
export type TestPlatform = Platform & { clock: { now: number }; lines: LogLine[] };
export type TestApi = { app: FastifyInstance; platform: TestPlatform };

/** A machine whose time stands still unless it is turned. `environment` may hold secrets. Gone when the test ends. */
export async function testPlatform(environment: { [name: string]: string } = {}): Promise<TestPlatform> {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const lines: LogLine[] = [];
  const line =
    (level: LogLine['level']): Log['info'] & Log['error'] =>
    (message, fields, error?) => {
      lines.push({ level, message, fields, error });
    };
  const log = { info: line('info'), warn: line('warn'), error: line('error'), measure() {} };
  const { platform } = await openTestPlatform({ log, now: () => clock.now, environment });
  return { ...platform, clock, lines };
}

/** The given routes (else those to sign in with) over such a machine. */
export async function testApi(
  options: Partial<AppOptions> = {},
  environment: { [name: string]: string } = {},
): Promise<TestApi> {
  const platform = await testPlatform(environment);
  return { platform, app: await appOver(platform, options) };
}

/** A further process over the same machine, as it were. */
export async function appOver(platform: Platform, options: Partial<AppOptions> = {}): Promise<FastifyInstance> {
  const app = await buildApp({
    platform,
    deployment: 'self-hosted',
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
export async function as({ app, platform }: { app: FastifyInstance; platform: Platform }, person = ada) {
  const { accessToken } = await openSession(platform, person);
  return (request: InjectOptions) =>
    app.inject({ ...request, headers: { authorization: `Bearer ${accessToken}`, ...request.headers } });
}
