/** Runs the doctor (doctor/check-everything.ts) in tests. */
import { expect } from 'vitest';
import { checkEverything, type DoctorOptions } from '../../doctor/check-everything.ts';
import type { Finding } from '../../doctor/finding.ts';
import type { Platform } from '../../domain/ports.ts';
import { openReadOnly } from '../../infra/embedded/read-only.ts';
import { silent } from './embedded.ts';

/** All findings on a platform. The doctor reads all data. */
export async function findingsOf(platform: Platform, options: DoctorOptions = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of checkEverything(platform, { readData: true, ...options })) found.push(finding);
  return found;
}

/** All findings on a data folder that no process uses. */
export async function findingsIn(data: string, options: DoctorOptions = {}): Promise<Finding[]> {
  const { platform, isAwaited, findings, close } = await openReadOnly(data, silent);
  try {
    return [...findings(), ...(await findingsOf(platform, { isAwaited, ...options }))];
  } finally {
    await close();
  }
}

/**
 * Expects no damage, loss or duplicate, and no unfinished work. `deployment` is a platform at rest, or a data folder
 * that no process uses. With `options.deployment` the newest restore points are compared with their sources too.
 */
export async function expectClean(deployment: Platform | string, options: DoctorOptions = {}): Promise<void> {
  const all = { quiet: true, ...options };
  const found = typeof deployment === 'string' ? await findingsIn(deployment, all) : await findingsOf(deployment, all);
  expect(found.filter(({ severity }) => severity === 'failure')).toEqual([]);
}
