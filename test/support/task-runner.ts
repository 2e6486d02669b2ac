/** The task runner as its contract checks it. */
import type { Records } from '../../domain/ports.ts';
import { reap, takeBackAll } from '../../tasks/reaper.ts';
import { runTask } from '../../tasks/run-task.ts';
import { cancelGroup, pauseGroup, resumeGroup, startGroup } from '../../tasks/window.ts';
import type { Runner } from '../contract/task-world.ts';

export function runnerOn(records: Records): Runner {
  return {
    ...{ records, run: runTask, reap, restart: takeBackAll },
    ...{ start: startGroup, cancel: cancelGroup, pause: pauseGroup, resume: resumeGroup },
  };
}
