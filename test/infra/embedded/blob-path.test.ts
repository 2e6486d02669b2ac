import { normalize } from 'node:path';
import { expect, it } from 'vitest';
import { blobPath } from '../../../infra/embedded/blob-path.ts';

it('gives every key a file of its own, also at the lengths where it splits names', () => {
  const lengths = [1, 79, 80, 81, 159, 160, 161, 240];
  const parts = lengths.map((length) => 'a'.repeat(length));
  const keys = new Set([...parts, ...parts.flatMap((a) => parts.flatMap((b) => [`${a}/b`, `${a}b`, `${a}/${b}`]))]);
  const paths = new Set([...keys].map((key) => normalize(blobPath(key))));
  expect(paths.size).toBe(keys.size);
});
