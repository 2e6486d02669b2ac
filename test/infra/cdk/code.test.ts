/** What a start of the API has to read: little, and the rest when it comes to it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from '../../../infra/cdk/code.ts';

let out: string;
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), 'bundle-'));
  bundle('api', out);
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

/** The entry and all that it imports at once. */
function readAtStart(): string[] {
  const files = ['index.mjs'];
  for (const file of files) {
    for (const [, other] of readFileSync(join(out, file), 'utf8').matchAll(/\bfrom"\.\/([^"]+)"|\bimport"\.\/([^"]+)"/g)) {
      if (other && !files.includes(other)) files.push(other);
    }
  }
  return files;
}

const bytes = (files: string[]) => files.reduce((sum, file) => sum + statSync(join(out, file)).size, 0);

test('the entry has at most 1 MB, with the SDK for DynamoDB 1.4', () => {
  expect(bytes(['index.mjs'])).toBeLessThanOrEqual(1_000_000);
  expect(bytes(readAtStart())).toBeLessThanOrEqual(1_400_000);
});

test('clients of other services, and the script of the documentation page, are read later', () => {
  const later = readdirSync(out).filter((file) => file.endsWith('.mjs') && !readAtStart().includes(file));
  const holds = (files: string[], words: string) => files.some((file) => readFileSync(join(out, file), 'utf8').includes(words));
  for (const words of [
    'TrentService',
    'AmazonSQS',
    'AWSEvents',
    'AWSCognitoIdentityProviderService',
    'AmazonSSM',
    'ListBucketResult',
    'scalar-app',
  ]) {
    expect({ words, later: holds(later, words), atStart: holds(readAtStart(), words) }).toEqual({ words, later: true, atStart: false });
  }
});
