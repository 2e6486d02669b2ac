/** Builds the API. Hooks implement the conventions of all routes. The options say all it knows about its deployment. */
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
import { publicPages, servePages } from './docs.ts';
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
  /** Returns what an account may connect to in this deployment. */
  connectorContext: (account: string) => ConnectorContext;
  /** The read models that routes may name in `reads`. */
  followers: readonly Follower[];
  /** `LISTBACKUP_RATE_LIMIT`: multiplies the rate limits, 0 turns them off. */
  rateScale: number;
  /** The allowed names in `Host`, without a port. Absent if a gateway in front checks the header. */
  trustedHosts?: readonly string[] | undefined;
  /** The API's public URL without a final slash, for URLs in answers. Absent: `http://` and the `Host` header. */
  origin?: string | undefined;
  /** The live socket's public URL (`wss://…`, without query). Absent: `/live` on the same host and port. */
  live?: string | undefined;
  /** The proxies whose `X-Forwarded-For` counts, as Fastify's `trustProxy`. Absent: none. */
  trustProxy?: boolean | string | string[] | undefined;
  /** Where answers are limited in size: the limit, and the function that makes links to larger downloads. */
  exports?: ApiContext['exports'];
  routes?: readonly (RouteFile | RouteModule)[];
  sleep?: Sleep;
};

declare module 'fastify' {
  interface FastifyRequest {
    /** The authenticated caller. Undefined on public routes. */
    principal: Principal | undefined;
    /** The route. Undefined for the public pages, which are not in the OpenAPI document. */
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

/**
 * Returns the app, ready for `listen` or `inject`. If a secret is missing (`requireSecrets`), only the requests that
 * need it fail.
 */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { platform, deployment, connectorContext, trustedHosts, rateScale } = options;
  // Start to load the secrets now. Code that needs one awaits it and gets its error.
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
    requireHost(request.raw, trustedHosts);
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
  // Answer 405 to every other method before its body is read. OPTIONS gets here only as an unanswered preflight.
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
  servePages(app, () => readRoutes(files), context.version);
  await app.ready();
  return app;
}

function noCompiler(): never {
  throw new Error('routes have no JSON Schema: zod validates them');
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
    // Limits how long a slow sender can hold a connection.
    requestTimeout: 120_000,
    return503OnClosing: false,
    genReqId: () => `req_${base32(platform.random(10))}`,
    routerOptions: { maxParamLength: 16_000 },
    // zod validates, so Fastify need not load its compilers of JSON Schema.
    schemaController: { compilersFactory: { buildValidator: () => noCompiler, buildSerializer: () => noCompiler } },
    frameworkErrors: (error, request, reply) => {
      sendProblem(reply.headers(headers) as FastifyReply, toProblem(error, request as FastifyRequest, platform.log));
    },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) return;
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
      const detail =
        error.code === 'HPE_HEADER_OVERFLOW'
          ? 'The headers are too large. Send at most 16 KiB of URL and headers.'
          : 'This is not an HTTP request. Send a well-formed HTTP/1.1 request.';
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
    // Other services may run on subdomains without TLS.
    strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: false },
  });
}

/**
 * Lets pages of the origins in the secret `cors-origin` call the API. Only requests with an `Origin` read the secret.
 */
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
  const readModels = followers.filter(({ name }) => reads.includes(name));
  await waitForWrites(platform, readModels, written, sleep ?? sleepFor);
}

function asFile(routes: RouteFile | RouteModule): RouteFile {
  return 'load' in routes ? routes : { addresses: routes.map(addressOf), load: async () => routes };
}

function register(app: FastifyInstance, context: ApiContext, { addresses, load }: RouteFile): void {
  for (const address of addresses) {
    const [method, url] = partsOf(address);
    let read: Promise<RouteDefinition> | undefined;
    const definition = () => {
      read ??= load().then((all) => all.find((route) => addressOf(route) === address) ?? missing(address));
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
  throw new Error(`api/routes/index.ts lists ${address}, but its file does not define it`);
}

function partsOf(address: Address): [method: string, url: string] {
  const space = address.indexOf(' ');
  return [address.slice(0, space), address.slice(space + 1)];
}

/** Returns a function that gives the value of `Allow` for a request's URL, undefined for a URL without routes. */
function allowedAt(routeAddresses: readonly Address[]): (request: FastifyRequest) => string | undefined {
  const known = new Map<string, Set<string>>(publicPages.map((url) => [url, new Set(['GET'])]));
  for (const address of routeAddresses) {
    const [method, url] = partsOf(address);
    known.set(url, (known.get(url) ?? new Set()).add(method));
  }
  const addresses = [...known].map(([url, methods]) => {
    const allow = [...methods, ...(methods.has('GET') ? ['HEAD'] : []), 'OPTIONS'].sort().join(', ');
    return { pattern: new RegExp(`^${url.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`), allow };
  });
  return ({ url }) => addresses.find(({ pattern }) => pattern.test(url.split('?')[0] ?? ''))?.allow;
}
