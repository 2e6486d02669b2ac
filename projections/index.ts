/** Every read model. infra loops over this list. */
import { accounts } from './accounts.ts';
import { analyticsAggregates } from './analytics-aggregates.ts';
import { linkDependencies, type Projection } from './engine/projection.ts';
import { files } from './files.ts';
import { jobs } from './jobs.ts';
import { runs } from './runs.ts';
import { sources } from './sources.ts';
import { users } from './users.ts';

export const projections: Projection[] = linkDependencies([
  accounts,
  analyticsAggregates,
  files,
  jobs,
  runs,
  sources,
  users,
]);
