/**
 * The list of all routes. A file is loaded with the first request to one of its addresses, which makes starts faster.
 */
import type { RouteFile } from '../route.ts';

export const routes: readonly RouteFile[] = [
  { addresses: ['GET /health'], load: async () => (await import('./health.ts')).health },
  {
    addresses: ['POST /auth/register', 'POST /auth/login', 'POST /auth/refresh', 'POST /auth/logout'],
    load: async () => (await import('./auth.ts')).auth,
  },
  { addresses: ['GET /me'], load: async () => (await import('./me.ts')).me },
  {
    addresses: ['GET /sources', 'POST /sources', 'GET /sources/{id}', 'PUT /sources/{id}', 'DELETE /sources/{id}'],
    load: async () => (await import('./sources.ts')).sources,
  },
  {
    addresses: [
      'GET /jobs',
      'POST /jobs',
      'GET /jobs/{id}',
      'PUT /jobs/{id}',
      'DELETE /jobs/{id}',
      'POST /jobs/{id}/run',
    ],
    load: async () => (await import('./jobs.ts')).jobs,
  },
  {
    addresses: [
      'GET /runs',
      'GET /runs/{id}',
      'GET /runs/{id}/errors',
      'POST /runs/{id}/cancel',
      'POST /runs/{id}/pause',
      'POST /runs/{id}/resume',
      'POST /runs/{id}/retry',
    ],
    load: async () => (await import('./runs.ts')).runs,
  },
  {
    addresses: ['GET /data/files', 'GET /data/files/{id}/versions', 'POST /data/search'],
    load: async () => (await import('./data.ts')).data,
  },
  {
    addresses: ['POST /data/download', 'GET /data/downloads/{id}'],
    load: async () => (await import('./data-download.ts')).dataDownload,
  },
  { addresses: ['GET /downloads/{token}'], load: async () => (await import('./downloads.ts')).downloads },
  { addresses: ['GET /analytics/overview'], load: async () => (await import('./analytics.ts')).analytics },
  { addresses: ['GET /activity'], load: async () => (await import('./activity.ts')).activity },
  { addresses: ['POST /live/ticket'], load: async () => (await import('./live.ts')).live },
];
