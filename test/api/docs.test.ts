import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { testApi } from '../support/api.ts';

test('serves a page that loads nothing from other servers, under a CSP that forbids it', async () => {
  const { app } = await testApi();
  const moved = await app.inject('/docs');
  expect([moved.statusCode, moved.headers.location]).toEqual([302, 'docs/']);
  const page = await app.inject('/docs/');
  expect(page.statusCode).toBe(200);
  expect(page.headers['content-type']).toContain('text/html');
  expect(page.body).not.toMatch(/https?:\/\//);
  expect(page.body).toContain('"url": "../openapi.json"');
  for (const setting of ['"withDefaultFonts": false', '"telemetry": false']) expect(page.body).toContain(setting);

  const policy = String(page.headers['content-security-policy']);
  const directives = Object.fromEntries(
    policy.split('; ').map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1)]),
  );
  expect(directives['default-src']).toEqual(["'none'"]);
  expect(directives['connect-src']).toEqual(["'self'"]);
  expect(directives['frame-ancestors']).toEqual(["'none'"]);
  const inline = [...page.body.matchAll(/<script(?![^>]*src)[^>]*>([\s\S]+?)<\/script>/g)].map(
    ([, code]) => code ?? '',
  );
  expect(inline).toHaveLength(1);
  expect(directives['script-src']).toEqual([
    "'self'",
    ...inline.map((code) => `'sha256-${createHash('sha256').update(code).digest('base64')}'`),
  ]);
  expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);

  const [, source] = /<script src="([^"]+)"/.exec(page.body) ?? [];
  const script = await app.inject(new URL(source ?? '', 'http://localhost/docs/').pathname);
  expect([script.statusCode, script.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8']);
  expect(script.body).toContain('createApiReference');
  expect(script.headers['content-security-policy']).toContain("default-src 'none'");
});
