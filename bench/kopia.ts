import { join } from 'node:path';
import { type Contestant, measurePhases } from './contestant.ts';
import { askVersion, runMeasured } from './processes.ts';

/** kopia with its cache. Compression is set, because kopia compresses nothing by default. */
export const kopia: Contestant = {
  name: 'kopia',
  settings: '`--compression zstd`, its cache on',
  install: 'apt-get install time, and kopia from https://kopia.io/docs/installation/',
  version: () => askVersion('kopia', ['--version']),
  async round(corpus, work) {
    const stored = join(work, 'repository');
    const env = {
      KOPIA_PASSWORD: 'correct horse battery',
      KOPIA_CONFIG_PATH: join(work, 'kopia.config'),
      KOPIA_CACHE_DIRECTORY: join(work, 'cache'),
      KOPIA_LOG_DIR: join(work, 'logs'),
      KOPIA_CHECK_FOR_UPDATES: 'false',
    };
    await runMeasured('kopia', ['repository', 'create', 'filesystem', '--path', stored], env);
    await runMeasured('kopia', ['policy', 'set', '--global', '--compression', 'zstd'], env);
    return measurePhases(corpus, { work, stored }, () =>
      runMeasured('kopia', ['snapshot', 'create', '--no-progress', corpus.tree], env),
    );
  },
};
