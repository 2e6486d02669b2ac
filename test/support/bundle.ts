/** The bundle of a function (infra/cdk/code.ts) as Lambda starts it: the files it loads and its secrets. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';

/** The entry of the bundle in that folder, and all its static imports. */
export function readAtStart(folder: string): string[] {
  const files = ['index.mjs'];
  for (const file of files) {
    for (const [, one, other] of readFileSync(join(folder, file), 'utf8').matchAll(
      /\bfrom"\.\/([^"]+)"|\bimport"\.\/([^"]+)"/g,
    )) {
      const imported = one ?? other;
      if (imported && !files.includes(imported)) files.push(imported);
    }
  }
  return files;
}

/** An SSM server that has every parameter. */
export async function serveSecrets(): Promise<{ endpoint: string; close(): void }> {
  const server = createServer(async (request, response) => {
    const { Name } = (await json(request)) as { Name: string };
    const Parameter = { Name, Type: 'SecureString', Value: 'x'.repeat(64) };
    response.setHeader('content-type', 'application/x-amz-json-1.1').end(JSON.stringify({ Parameter }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}
