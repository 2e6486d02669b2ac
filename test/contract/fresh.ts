/** Unique names, so that a suite can run many times on one shared store. */
import { randomBytes } from 'node:crypto';

export function fresh(prefix: string): string {
  return `${prefix}_${randomBytes(10).toString('hex')}`;
}

/** The numbers from 1 to n. */
export function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}
