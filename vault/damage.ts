/** Stored bytes differ from the bytes that were written, are missing, or were encrypted with a key that is lost. */
export class VaultDamage extends Error {
  /** `what` is damaged: `pack`, `manifest`, `encrypted`, `entries`, `file` or `export`. */
  constructor(what: string, detail: string, options?: { cause?: unknown }) {
    super(`${what}: ${detail}`, options);
    this.name = 'VaultDamage';
  }
}
