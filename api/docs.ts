/**
 * The public pages: `GET /` says what this server is, `GET /openapi.json` is the API description and `GET /docs`
 * shows it. `/docs` loads nothing from other servers. Both descriptions are built on their first request, because
 * most processes never serve them.
 */
import { createHash } from 'node:crypto';
import Fastify, { type FastifyInstance } from 'fastify';
import type { RouteDefinition } from './route.ts';

/** The CSP of `/docs`. Scripts are allowed by hash. Styles are not, because the page's script creates them. */
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

/** Links are relative, so they also work behind a gateway that adds a path prefix. */
const indexPage = (version: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>ListBackup API</title>
<h1>ListBackup API</h1>
<p>This server backs up folders and S3 buckets. It runs ListBackup ${version}. Programs use its HTTP API.</p>
<ul>
<li><a href="docs/">API documentation</a></li>
<li><a href="openapi.json">OpenAPI description</a></li>
<li><a href="health">Health check</a></li>
</ul>
</html>
`;

type Page = { html: string; script: string };

/** Renders the page and its script (5 MB) with the plugin. */
async function renderDocs(): Promise<Page> {
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

export const publicPages = ['/', '/docs', '/docs/', '/docs/js/scalar.js', '/openapi.json'] as const;

export function servePages(app: FastifyInstance, routes: () => Promise<RouteDefinition[]>, version: string): void {
  let rendered: Promise<Page> | undefined;
  const page = () => {
    rendered ??= renderDocs();
    return rendered;
  };
  const open = { config: { public: true } };
  const [index, docsWithoutSlash, docs, script, openapi] = publicPages;
  app.get(index, open, (_request, reply) => reply.type('text/html; charset=utf-8').send(indexPage(version)));
  // The page loads its script by a relative URL, so its own URL has to end in a slash.
  app.get(docsWithoutSlash, open, (_request, reply) => reply.redirect('docs/', 302));
  app.get(docs, open, async (_request, reply) => {
    const { html } = await page();
    return reply.type('text/html; charset=utf-8').header('content-security-policy', pagePolicy(html)).send(html);
  });
  app.get(script, open, async (_request, reply) => {
    const { script: code } = await page();
    return reply.type('text/javascript; charset=utf-8').header('cache-control', 'public, max-age=3600').send(code);
  });
  let described: Promise<string> | undefined;
  app.get(openapi, open, async (_request, reply) => {
    described ??= Promise.all([import('./openapi.ts'), routes()]).then(([{ describeApi }, all]) =>
      describeApi(all, version),
    );
    return reply.type('application/json; charset=utf-8').send(await described);
  });
}
