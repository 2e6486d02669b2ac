/** The checker (doctor/check-everything.ts) at the end of a test. */
import { expect } from 'vitest';
import { checkEverything, type DoctorOptions } from '../../doctor/check-everything.ts';
import type { Finding } from '../../doctor/finding.ts';
import type { Platform } from '../../domain/ports.ts';
import { openReadOnly } from '../../infra/embedded/read-only.ts';
import { silent } from './embedded.ts';

/** All that the checker says of a machine, all data read. */
export async function findingsOf(platform: Platform, options: DoctorOptions = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of checkEverything(platform, { readData: true, ...options })) found.push(finding);
  return found;
}

/** The same of a data folder that no process uses. */
export async function findingsIn(data: string, options: DoctorOptions = {}): Promise<Finding[]> {
  const { platform, isAwaited, findings, close } = await openReadOnly(data, silent);
  try {
    return [...findings(), ...(await findingsOf(platform, { isAwaited, ...options }))];
  } finally {
    await close();
  }
}

/**
 * Nothing is damaged, lost or doubled, nothing is left to do and nothing under way. `home` (a machine, or a data folder that no process
 * uses) has come to rest. With `home` among the options, the newest backups are compared with their sources too.
 */
export async function expectClean(deployment: Platform | string, options: DoctorOptions = {}): Promise<void> {
  const all = { quiet: true, ...options };
  const found = typeof deployment === 'string' ? await findingsIn(deployment, all) : await findingsOf(deployment, all);
  expect(found.filter(({ severity }) => severity === 'failure')).toEqual([]);
}
