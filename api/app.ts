/** The API: conventions as hooks, routes from their list. It knows of where it runs only what its options say. */
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { ConnectorContext } from '../connectors/connector.ts';
import { base32 } from '../crypto/base32.ts';
import { Problem } from '../domain/errors.ts';
import type { Platform } from '../domain/ports.ts';
import pkg from '../package.json' with { type: 'json' };
import { authenticate } from './authentication.ts';
import { consistencyHeader, type Follower, readConsistencyTokens, type Sleep, waitForWrites } from './consistency.ts';
import { pagesOfDocs, serveDocs } from './docs.ts';
import { parseJsonBodies, validate } from './input.ts';
import { corsOrigins, requireHost } from './origins.ts';
import { nothingHere, problemDocument, problemType, sendProblem, toProblem } from './problem.ts';
import { rateLimits } from './rate-limit.ts';
import {
  type Address,
  type ApiContext,
  addressOf,
  fastifyPath,
  type RouteDefinition,
  type RouteFile,
  type RouteModule,
  readRoutes,
  serve,
} from './route.ts';
import { routes } from './routes/index.ts';
import { requireSecrets } from './secret-keys.ts';
import type { Principal } from './sessions.ts';

export type AppOptions = {
  platform: Platform;
  deployment: 'self-hosted' | 'aws';
  /** What the home lets an account connect to. */
  connectorContext: (account: string) => ConnectorContext;
  /** The read models that routes can name in `reads`. */
  followers: readonly Follower[];
  /** `LISTBACKUP_RATE_LIMIT`: multiplies the rate limits, 0 turns them off. */
  rateScale: number;
  /** The names the `Host` header may have, without a port; absent where something in front checks it. */
  trustedHosts?: readonly string[] | undefined;
  /** Where callers reach this API (`https://…`, no slash at the end), for addresses in answers; absent: http and the `Host` header. */
  origin?: string | undefined;
  /** Where the live socket is reached (`wss://…`, no query); absent: `/live` on the same host and port. */
  live?: string | undefined;
  /** Whose `X-Forwarded-For` to believe, as Fastify's `trustProxy`; absent: nobody's. */
  trustProxy?: boolean | string | string[] | undefined;
  /** Where an answer may be no larger than so many bytes, and how larger downloads are given out instead. */
  exports?: ApiContext['exports'];
  routes?: readonly (RouteFile | RouteModule)[];
  sleep?: Sleep;
};

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling; absent on public routes. */
    principal: Principal | undefined;
    /** What is asked for; absent for pages that are no routes of the contract. */
    definition: RouteDefinition | undefined;
  }
  interface FastifyContextConfig {
    public?: boolean;
    definition?: () => Promise<RouteDefinition>;
  }
}

const bodyLimit = 1024 * 1024;
const contentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
const sleepFor: Sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** The app, ready to `listen` or `inject`. Without its secrets (`requireSecrets`) it fails whoever needs them, and no one else. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { platform, deployment, connectorContext, trustedHosts, rateScale } = options;
  // Fetched while the rest is made; whoever needs them waits.
  requireSecrets(platform).catch(() => {});
  const origin: ApiContext['origin'] = (headers) => options.origin ?? `http://${headers.host}`;
  const live: ApiContext['live'] = (headers) => options.live ?? `${origin(headers).replace(/^http/, 'ws')}/live`;
  const context: ApiContext = {
    platform,
    deployment,
    connectorContext,
    origin,
    live,
    exports: options.exports,
    version: pkg.version,
    rateScale,
  };
  const app = newServer(options);

  app.decorateRequest('principal', undefined);
  app.decorateRequest('definition', undefined);
  app.setErrorHandler((error, request, reply) => sendProblem(reply, toProblem(error, request, platform.log)));
  app.setNotFoundHandler(() => {
    throw nothingHere();
  });
  parseJsonBodies(app);

  await secureHeaders(app);
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
    requireHost(request.headers.host, trustedHosts);
  });
  const files = (options.routes ?? routes).map(asFile);
  const allowed = allowedAt(files.flatMap(({ addresses }) => addresses));
  app.addHook('onRequest', async (request, reply) => {
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] !== undefined) return;
    const allow = allowed(request);
    if (allow === undefined) throw nothingHere();
    return reply.code(204).header('allow', allow).send();
  });
  await allowOrigins(app, platform);
  // Whatever the method is, and before its body is looked at. OPTIONS is here only where a preflight was not answered.
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404 && request.method !== 'OPTIONS') return;
    const allow = allowed(request);
    if (allow === undefined && request.is404) return;
    if (allow === undefined) throw nothingHere();
    reply.header('allow', allow);
    throw new Problem('method-not-allowed', `Use one of ${allow}.`);
  });
  const admit = await rateLimits(app, platform, rateScale);
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) return;
    const { config, url } = request.routeOptions;
    if (url?.startsWith('/auth/')) await admit(request, reply, 'auth');
    request.definition = await config.definition?.();
    if (config.public || request.definition?.public) return;
    request.principal = await authenticate(platform, request.headers);
    await admit(request, reply, 'default');
  });
  app.addHook('preHandler', async (request) => {
    if (!request.definition) return;
    validate(request, request.definition);
    await awaitOwnWrites(request, request.definition, options);
  });

  for (const file of files) register(app, context, file);
  serveDocs(app, () => readRoutes(files), context.version);
  await app.ready();
  return app;
}

function noCompiler(): never {
  throw new Error('a schema is not one of zod');
}

function newServer(options: AppOptions): FastifyInstance {
  const { platform, trustProxy } = options;
  const headers = {
    'content-security-policy': contentSecurityPolicy,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  };
  return Fastify({
    logger: false,
    bodyLimit,
    trustProxy: trustProxy ?? false,
    // slow senders do not hold a connection for ever
    requestTimeout: 120_000,
    return503OnClosing: false,
    genReqId: () => `req_${base32(platform.random(10))}`,
    routerOptions: { maxParamLength: 16_000 },
    // Schemas are zod's: Fastify's own compilers of JSON Schema are not even loaded.
    schemaController: { compilersFactory: { buildValidator: () => noCompiler, buildSerializer: () => noCompiler } },
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply.headers(headers) as FastifyReply, toProblem(error, request as FastifyRequest, platform.log));
    },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) return;
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
      const detail =
        error.code === 'HPE_HEADER_OVERFLOW'
          ? 'Send at most 16 KiB of address and headers.'
          : 'Send a well-formed HTTP/1.1 request.';
      const body = JSON.stringify({
        ...problemDocument(new Problem('invalid-input', detail)),
        status: Number(status.slice(0, 3)),
      });
      const head = [
        `HTTP/1.1 ${status}`,
        'Connection: close',
        `Content-Type: ${problemType}`,
        `Content-Length: ${Buffer.byteLength(body)}`,
      ];
      socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    },
  });
}

async function secureHeaders(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"] },
    },
    referrerPolicy: { policy: 'no-referrer' },
    xFrameOptions: { action: 'deny' },
    // the names beside ours are not ours to decide about
    strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: false },
  });
}

/** Pages of the origins in the secret `cors-origin` (comma-separated, or `*`) may call; none when it is not set. It is asked for when one comes. */
async function allowOrigins(app: FastifyInstance, platform: Platform): Promise<void> {
  const policy = {
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: [
      'Authorization',
      'X-Api-Key',
      'Content-Type',
      'Idempotency-Key',
      'If-Match',
      'If-None-Match',
      'Consistency-Token',
    ],
    exposedHeaders: [
      'ETag',
      'Location',
      'Consistency-Token',
      'RateLimit',
      'RateLimit-Policy',
      'Retry-After',
      'X-Request-Id',
      'Idempotent-Replayed',
    ],
    maxAge: 600,
  };
  await app.register(cors, {
    delegator: async ({ headers }: FastifyRequest) => {
      const origins = headers.origin === undefined ? [] : await corsOrigins(platform);
      if (origins.length === 0) return { origin: false };
      return { ...policy, origin: origins.includes('*') ? '*' : origins };
    },
  });
}

async function awaitOwnWrites(
  request: FastifyRequest,
  { reads }: RouteDefinition,
  { platform, followers, sleep }: AppOptions,
): Promise<void> {
  const header = request.headers[consistencyHeader];
  if (!reads || !request.principal || typeof header !== 'string') return;
  const written = await readConsistencyTokens(platform, request.principal.account, header);
  const readers = followers.filter(({ name }) => reads.includes(name));
  await waitForWrites(platform, readers, written, sleep ?? sleepFor);
}

function asFile(routes: RouteFile | RouteModule): RouteFile {
  return 'load' in routes ? routes : { addresses: routes.map(addressOf), load: async () => routes };
}

function register(app: FastifyInstance, context: ApiContext, { addresses, load }: RouteFile): void {
  for (const address of addresses) {
    const [method, url] = partsOf(address);
    let read: Promise<RouteDefinition> | undefined;
    const definition = () => {
      read ??= load().then((all) => all.find((each) => addressOf(each) === address) ?? missing(address));
      return read;
    };
    app.route({
      method,
      url: fastifyPath(url),
      config: { definition },
      handler: async (request, reply) => serve(context, await definition(), request, reply),
    });
  }
}

function missing(address: Address): never {
  throw new Error(`its file has no ${address}`);
}

function partsOf(address: Address): [method: string, url: string] {
  const space = address.indexOf(' ');
  return [address.slice(0, space), address.slice(space + 1)];
}

/** What is allowed at the address of a request, for `Allow`; undefined where there is nothing. */
function allowedAt(all: readonly Address[]): (request: FastifyRequest) => string | undefined {
  const known = new Map<string, Set<string>>(pagesOfDocs.map((url) => [url, new Set(['GET'])]));
  for (const address of all) {
    const [method, url] = partsOf(address);
    known.set(url, (known.get(url) ?? new Set()).add(method));
  }
  const addresses = [...known].map(([url, methods]) => {
    const allow = [...methods, ...(methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ');
    return { pattern: new RegExp(`^${url.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`), allow };
  });
  return ({ url }) => addresses.find(({ pattern }) => pattern.test(url.split('?')[0] ?? ''))?.allow;
}
