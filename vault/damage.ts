/** Stored bytes differ from the bytes that were written, are missing, or were encrypted with a key that is lost. */
export class VaultDamage extends Error {
  /** The damaged object: `pack`, `manifest`, `encrypted`, `entries`, `file` or `export`. */
  readonly what: string;
  /** The data pack, if that is missing or altered. */
  readonly pack: string | undefined;

  constructor(what: string, detail: string, pack?: string) {
    super(`${what}: ${detail}`);
    this.name = 'VaultDamage';
    this.what = what;
    this.pack = pack;
  }
}
