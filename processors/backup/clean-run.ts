/** The task `clean`: removes the working blobs of a run that failed or was cancelled. Its records expire. */
import type { TaskKind } from '../../tasks/task.ts';
import type { Deployment } from '../deployment.ts';
import { type RunState, runRefOf } from './run.ts';
import { removeWork } from './work.ts';

export const cleanKind: TaskKind<Deployment, RunState> = {
  name: 'clean',
  v: 1,
  queue: 'job',
  async step({ platform }, { ref, state }) {
    await removeWork(platform, runRefOf(ref, state));
    return { type: 'done', endsGroup: true };
  },
  onError: (_error, attempt) => ({ afterMs: 1000 * Math.min(2 ** attempt, 600) }),
  // The run has ended. Nothing reads its working blobs.
  async fail() {},
};
