/** Global setup of the Vitest project `aws`: one ministack for all files, which get it by `inject('ministack')`. */
import type { TestProject } from 'vitest/node';
import { type Ministack, startMinistack } from './ministack.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    ministack: Pick<Ministack, 'endpoint' | 'account' | 'region' | 'environment'>;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const ministack = await startMinistack();
  const { endpoint, account, region, environment } = ministack;
  project.provide('ministack', { endpoint, account, region, environment });
  return ministack.stop;
}
