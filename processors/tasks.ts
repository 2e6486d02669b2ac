/** The registry of tasks: what each kind does, and how the tasks of a run and of an export follow each other. */
import type { AnyTaskKind, GroupKind, GroupRef, Parts } from '../tasks/task.ts';
import { cleanKind } from './backup/clean-run.ts';
import { commitKind } from './backup/commit-run.ts';
import { planKind } from './backup/plan-run.ts';
import { storeKind } from './backup/store-batch.ts';
import type { Deployment } from './deployment.ts';
import { exportKind } from './export/prepare-download.ts';
import { maxWorkers } from './index.ts';

const kinds: AnyTaskKind[] = [planKind, storeKind, commitKind, cleanKind, exportKind];

const groups: GroupKind[] = [
  { name: 'backup', first: 'plan', child: 'store', last: 'commit', end: 'clean' },
  { name: 'export', first: 'export', end: 'export' },
];

export function tasksOf({
  platform,
  workers = maxWorkers,
  progressed,
}: Pick<Deployment, 'platform' | 'workers' | 'progressed'>): Parts {
  const { records, queue, now, log } = platform;
  const changed = progressed && (({ account, group }: GroupRef) => progressed(account, group));
  return { records, queue, now, log, kinds, groups, pool: workers, ...(changed && { changed }) };
}
