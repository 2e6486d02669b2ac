/** All routes: the one list. */
import type { RouteModule } from '../route.ts';
import { activity } from './activity.ts';
import { analytics } from './analytics.ts';
import { auth } from './auth.ts';
import { data } from './data.ts';
import { dataDownload } from './data-download.ts';
import { downloads } from './downloads.ts';
import { health } from './health.ts';
import { jobs } from './jobs.ts';
import { live } from './live.ts';
import { me } from './me.ts';
import { runs } from './runs.ts';
import { sources } from './sources.ts';

export const routes: readonly RouteModule[] = [
  health,
  auth,
  me,
  sources,
  jobs,
  runs,
  data,
  dataDownload,
  downloads,
  analytics,
  activity,
  live,
];
