/** SHA-256 with a state that can be saved. It takes six times the CPU of Node's, so only large files use it. */
import { createSHA256 } from 'hash-wasm';

export type ResumableHash = {
  update(bytes: Uint8Array): unknown;
  /** Lower-case hex. The hash cannot be used afterwards. */
  digest(encoding: 'hex'): string;
  /** The state after the bytes so far, for `resumeHash`. */
  save(): Uint8Array;
};

/** Goes on from a saved state, or starts at null. @throws Error for a state of another version of the library */
export async function resumeHash(state: Uint8Array | null): Promise<ResumableHash> {
  const hash = await createSHA256();
  return state ? hash.load(state) : hash.init();
}

/** Whether this version of the library can go on from the state. */
export function isHashState(state: Uint8Array): Promise<boolean> {
  return resumeHash(state).then(
    () => true,
    () => false,
  );
}
