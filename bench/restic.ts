import { join } from 'node:path';
import { type Contestant, measurePhases } from './contestant.ts';
import { askVersion, runMeasured } from './processes.ts';

/** restic with its defaults and its cache. The repository format is set, because old versions default to format 1. */
export const restic: Contestant = {
  name: 'restic',
  settings: 'repository format 2, `--compression auto` and the cache, all defaults',
  install: 'apt-get install restic time',
  version: () => askVersion('restic', ['version']),
  async round(corpus, work) {
    const stored = join(work, 'repository');
    const env = {
      RESTIC_REPOSITORY: stored,
      RESTIC_PASSWORD: 'correct horse battery',
      RESTIC_CACHE_DIR: join(work, 'cache'),
    };
    await runMeasured('restic', ['init', '--repository-version', '2'], env);
    return measurePhases(corpus, { work, stored }, () =>
      runMeasured('restic', ['backup', '--quiet', corpus.tree], env),
    );
  },
};
