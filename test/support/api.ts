/** The API on a self-hosted platform in its own folder, with a clock that the test sets and signed-in users. */
import type { FastifyInstance, InjectOptions } from 'fastify';
import { onTestFinished } from 'vitest';
import { type AppOptions, buildApp } from '../../api/app.ts';
import { auth } from '../../api/routes/auth.ts';
import { health } from '../../api/routes/health.ts';
import { openSession } from '../../api/sessions.ts';
import type { Platform } from '../../domain/ports.ts';
import { type LogLine, openTestPlatform, recordingLog } from './embedded.ts';

export const ada = { userId: 'usr_ada', accountId: 'acc_ada', role: 'owner' };
export const bob = { userId: 'usr_bob', accountId: 'acc_bob', role: 'owner' };

export type TestPlatform = Platform & { clock: { now: number }; lines: LogLine[] };
export type TestApi = { app: FastifyInstance; platform: TestPlatform };

/** A platform whose clock moves only when the test sets it. `environment` may hold secrets. Closes with the test. */
export async function testPlatform(environment: { [name: string]: string } = {}): Promise<TestPlatform> {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { log, lines } = recordingLog();
  const { platform } = await openTestPlatform({ log, now: () => clock.now, environment });
  return { ...platform, clock, lines };
}

/** The API on such a platform, by default with the routes for sign-in. */
export async function testApi(
  options: Partial<AppOptions> = {},
  environment: { [name: string]: string } = {},
): Promise<TestApi> {
  const platform = await testPlatform(environment);
  return { platform, app: await appOver(platform, options) };
}

/** Another API process on the same platform. */
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

/** Opens a session of that user. Returns a function that sends requests in it. */
export async function as({ app, platform }: { app: FastifyInstance; platform: Platform }, person = ada) {
  const { accessToken } = await openSession(platform, person);
  return (request: InjectOptions) =>
    app.inject({ ...request, headers: { authorization: `Bearer ${accessToken}`, ...request.headers } });
}
