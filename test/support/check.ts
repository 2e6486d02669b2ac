/** The checker (infra/doctor.ts) at the end of a test. */
import { expect } from 'vitest';
import type { Finding } from '../../domain/finding.ts';
import type { Machine } from '../../domain/ports.ts';
import { checkEverything, type DoctorOptions } from '../../infra/doctor.ts';
import { openReadOnly } from '../../infra/embedded/read-only.ts';
import { silent } from './embedded.ts';

/** All that the checker says of a machine, all data read. */
export async function findingsOf(machine: Machine, options: DoctorOptions = {}): Promise<Finding[]> {
  const found: Finding[] = [];
  for await (const finding of checkEverything(machine, { readData: true, ...options })) found.push(finding);
  return found;
}

/** The same of a data folder that no process uses. */
export async function findingsIn(data: string, options: DoctorOptions = {}): Promise<Finding[]> {
  const { machine, isAwaited, findings, close } = await openReadOnly(data, silent);
  try {
    return [...findings(), ...(await findingsOf(machine, { isAwaited, ...options }))];
  } finally {
    await close();
  }
}

/**
 * Nothing is damaged, lost or doubled, nothing is left to do and nothing under way. `home` (a machine, or a data folder that no process
 * uses) has come to rest. With `home` among the options, the newest backups are compared with their sources too.
 */
export async function expectClean(home: Machine | string, options: DoctorOptions = {}): Promise<void> {
  const all = { quiet: true, ...options };
  const found = typeof home === 'string' ? await findingsIn(home, all) : await findingsOf(home, all);
  expect(found.filter(({ level }) => level === 'failure')).toEqual([]);
}
