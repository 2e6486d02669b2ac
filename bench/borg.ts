import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Contestant, measurePhases } from './contestant.ts';
import { askVersion, runMeasured } from './processes.ts';

/** borg with `repokey-blake2`, as its manual advises, and its caches on. */
export function borg(name: string, compression: string): Contestant {
  return {
    name,
    settings: `\`--encryption repokey-blake2\`, \`--compression ${compression}\`, its caches on`,
    install: 'apt-get install borgbackup time',
    version: () => askVersion('borg', ['--version']),
    async round(corpus, work) {
      const stored = join(work, 'repository');
      const base = join(work, 'base');
      await mkdir(base);
      const env = { BORG_REPO: stored, BORG_PASSPHRASE: 'correct horse battery', BORG_BASE_DIR: base };
      await runMeasured('borg', ['init', '--encryption', 'repokey-blake2'], env);
      let archives = 0;
      return measurePhases(corpus, { work, stored }, () => {
        archives += 1;
        return runMeasured('borg', ['create', '--compression', compression, `::${archives}`, corpus.tree], env);
      });
    },
  };
}
