/** A few seeds of `npm run soak`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endBoxes } from './box-process.ts';
import { type Beginning, folderFor, type Outcome, planOf, prepare, tell, undisturbed } from './story.ts';

describe('people at work while their box is killed at random', () => {
  let beginning: Beginning;
  let expected: Outcome;

  beforeAll(async () => {
    beginning = await prepare(await mkdtemp(join(tmpdir(), 'listbackup-soak-')));
    expected = (await tell(beginning, undisturbed, await folderFor(beginning, 'undisturbed'))).outcome;
  });
  afterAll(async () => {
    endBoxes();
    await rm(beginning.root, { recursive: true, force: true });
  });

  it('is told of a box that works: two backups, two failures, a zip, each once', () => {
    expect(expected.runs.map(({ status }) => status)).toEqual(['failed', 'failed', 'succeeded', 'succeeded']);
    expect(expected.events).toMatchObject({
      RunRequested: 4,
      RunFinished: 4,
      RestorePointCreated: 2,
      RunEnded: 2,
      DownloadRequested: 1,
      JobCreated: 4,
    });
  });

  it.concurrent.each(Array.from({ length: 12 }, (_, i) => i + 1))(
    'get what they got without (npm run soak -- --seed %i)',
    async (seed) => {
      const { outcome, lives } = await tell(
        beginning,
        planOf(seed),
        await folderFor(beginning, `seed-${seed}`),
        expected,
      );
      expect(outcome).toEqual(expected);
      expect(lives).toBeGreaterThan(0);
    },
  );
});
