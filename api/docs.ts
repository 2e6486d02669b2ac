/** `GET /openapi.json`, and `GET /docs`: the same as a page, with everything it needs from here. Made when asked for: most starts are not. */
import { createHash } from 'node:crypto';
import Fastify, { type FastifyInstance } from 'fastify';
import type { RouteDefinition } from './route.ts';

/** The page's own policy, the one exception to the API's. Its styles are set by script, so they cannot be named by hash. */
function pagePolicy(html: string): string {
  const inline = [...html.matchAll(/<script(?![^>]*\ssrc=)[^>]*>([\s\S]*?)<\/script>/g)].map(([, code]) =>
    createHash('sha256')
      .update(code ?? '')
      .digest('base64'),
  );
  const scripts = ["'self'", ...inline.map((hash) => `'sha256-${hash}'`)].join(' ');
  return [
    "default-src 'none'",
    `script-src ${scripts}`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

type Page = { html: string; script: string };

/** The page and its script (5 MB) as the plugin makes them. */
async function makePage(): Promise<Page> {
  const { default: scalar } = await import('@scalar/fastify-api-reference');
  const plugin = Fastify({ logger: false });
  await plugin.register(scalar, {
    routePrefix: '/docs',
    configuration: {
      url: '../openapi.json',
      pageTitle: 'ListBackup API',
      withDefaultFonts: false,
      telemetry: false,
      agent: { disabled: true },
      mcp: { disabled: true },
      showDeveloperTools: 'never',
      hideClientButton: true,
      persistAuth: false,
    },
  });
  const [page, script] = await Promise.all([plugin.inject('/docs/'), plugin.inject('/docs/js/scalar.js')]);
  await plugin.close();
  return { html: page.body, script: script.body };
}

export const pagesOfDocs = ['/docs', '/docs/', '/docs/js/scalar.js', '/openapi.json'] as const;

export function serveDocs(app: FastifyInstance, routes: () => Promise<RouteDefinition[]>, version: string): void {
  let made: Promise<Page> | undefined;
  const page = () => {
    made ??= makePage();
    return made;
  };
  const open = { config: { public: true } };
  // the page names its script relative to itself
  app.get(pagesOfDocs[0], open, (_request, reply) => reply.redirect('docs/', 302));
  app.get(pagesOfDocs[1], open, async (_request, reply) => {
    const { html } = await page();
    return reply.type('text/html; charset=utf-8').header('content-security-policy', pagePolicy(html)).send(html);
  });
  app.get(pagesOfDocs[2], open, async (_request, reply) => {
    const { script } = await page();
    return reply.type('text/javascript; charset=utf-8').header('cache-control', 'public, max-age=3600').send(script);
  });
  let described: Promise<string> | undefined;
  app.get(pagesOfDocs[3], open, async (_request, reply) => {
    described ??= Promise.all([import('./openapi.ts'), routes()]).then(([{ describeApi }, all]) =>
      describeApi(all, version),
    );
    return reply.type('application/json; charset=utf-8').send(await described);
  });
}
