/** All routes: the one list. */
import type { RouteModule } from '../route.ts';
import { auth } from './auth.ts';
import { health } from './health.ts';

export const routes: readonly RouteModule[] = [health, auth];
