import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { describedFiles } from '../../scripts/openapi.ts';

test('the published API document and the client types are what the routes say: npm run openapi', async () => {
  for (const [path, text] of Object.entries(await describedFiles())) {
    const same = (await readFile(path, 'utf8')) === text;
    expect(same, `${path} is out of date with the routes. Run: npm run openapi`).toBe(true);
  }
});
