/** A few seeds of `npm run soak`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killServers } from './killable-server.ts';
import { type Beginning, folderFor, type Outcome, planOf, prepare, tell, undisturbed } from './soak-scenario.ts';

describe('the story of the soak', () => {
  let beginning: Beginning;
  let expected: Outcome;

  beforeAll(async () => {
    beginning = await prepare(await mkdtemp(join(tmpdir(), 'listbackup-soak-')));
    expected = (await tell(beginning, undisturbed, await folderFor(beginning, 'undisturbed'))).outcome;
  });
  afterAll(async () => {
    killServers();
    await rm(beginning.root, { recursive: true, force: true });
  });

  it('has two backups, two failed runs and one zip without kills', () => {
    expect(expected.runs.map(({ status }) => status)).toEqual(['failed', 'failed', 'succeeded', 'succeeded']);
    expect(expected.events).toMatchObject({
      RunRequested: 4,
      RestorePointCreated: 2,
      RunEnded: 2,
      DownloadRequested: 1,
      JobCreated: 4,
    });
  });

  it.concurrent.each(Array.from({ length: 4 }, (_, i) => i + 1))(
    'has the same outcome with random kills (npm run soak -- --seed %i)',
    async (seed) => {
      const { outcome, restarts } = await tell(
        beginning,
        planOf(seed),
        await folderFor(beginning, `seed-${seed}`),
        expected,
      );
      expect(outcome).toEqual(expected);
      expect(restarts).toBeGreaterThan(0);
    },
  );
});
