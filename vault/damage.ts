/** What the vault throws when stored bytes are not what was written: flipped, swapped, cut short, gone, or sealed under a lost key. */
export class VaultDamage extends Error {
  /** Which stored thing: `pack`, `manifest`, `sealed`, `entries`, `file`. */
  readonly what: string;

  constructor(what: string, detail: string, options?: { cause?: unknown }) {
    super(`${what}: ${detail}`, options);
    this.name = 'VaultDamage';
    this.what = what;
  }
}
