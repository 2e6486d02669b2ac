import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { describedFiles } from '../../scripts/openapi.ts';

test('the published OpenAPI document and the client types match the routes', async () => {
  for (const [path, text] of Object.entries(await describedFiles())) {
    const upToDate = (await readFile(path, 'utf8')) === text;
    expect(upToDate, `${path} does not match the routes. Run: npm run openapi`).toBe(true);
  }
});
