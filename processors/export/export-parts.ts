/** Writes an export in parts of an upload. A checkpoint after each part holds all that the next attempt needs. */

import { progressWrite } from '../../commands/export-list.ts';
import { decryptFramed, encryptFramed, frameBytes } from '../../crypto/gcm.ts';
import type { JsonObject, Platform, RecordWrite } from '../../domain/ports.ts';
import type { Task } from '../../tasks/task.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { encryptPieces, pieceBytes } from '../../vault/exports.ts';
import type { Atom, Position } from './zip.ts';

/** The state of an upload. */
export type Written = {
  upload: string;
  /** Bytes of content in each part, in pieces of `pieceBytes`. */
  partBytes: number;
  /** Bytes of the whole export, as an estimate. */
  size: number;
  parts: number;
  /**
   * Blobs with records of the zip's directory: fences, and the number of blobs that each wrote. A worker that lost its
   * task writes blobs that nobody reads.
   */
  pieces: [fence: number, count: number][];
  /** Before the first byte that is not in a part or in `tail`, or `skip` bytes before it. */
  position: Position;
  skip: number;
  /** The blob with the bytes before the position that are not in a part yet. */
  tail: string | null;
};

export type Export = {
  platform: Pick<Platform, 'blobs' | 'random' | 'now'>;
  blob: string;
  /** Encrypts the working state, and the export if `isEncrypted`. */
  key: Uint8Array;
  isEncrypted: boolean;
};

const minPartBytes = 8 * pieceBytes;
/** Of 10,000 possible ones, because the size is an estimate. */
const maxParts = 9000;

/** Starts an upload of about `size` bytes. */
export async function startExport({ platform, blob, isEncrypted }: Export, size: number): Promise<Written> {
  const partBytes = Math.max(minPartBytes, Math.ceil(size / maxParts / pieceBytes) * pieceBytes);
  const stored = isEncrypted ? (partBytes / pieceBytes) * (pieceBytes + frameBytes) : partBytes;
  const upload = await platform.blobs.startUpload(blob, stored);
  return { upload, partBytes, size, parts: 0, pieces: [], position: { length: 0, entries: 0 }, skip: 0, tail: null };
}

/** The writer of one slice. */
export class PartWriter {
  state: Written;
  readonly #to: Export;
  readonly #task: Pick<Task<JsonObject>, 'fence' | 'checkpoint'>;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #records: Uint8Array[] = [];

  constructor(to: Export, task: Pick<Task<JsonObject>, 'fence' | 'checkpoint'>, state: Written) {
    this.#to = to;
    this.#task = task;
    this.state = state;
  }

  /** Reads what the slice before left. */
  async open(): Promise<void> {
    if (this.state.tail !== null) this.#hold(await this.#load(this.state.tail));
  }

  /** Adds the atom. Puts each part that is full. */
  async add({ bytes, next, record }: Atom): Promise<void> {
    let done = Math.min(this.state.skip, bytes.length);
    while (this.#heldBytes + bytes.length - done >= this.state.partBytes) {
      const end = done + this.state.partBytes - this.#heldBytes;
      this.#hold(bytes.subarray(done, end));
      done = end;
      const isWhole = done === bytes.length;
      if (isWhole && record) this.#records.push(record);
      await this.#putPart(isWhole ? { position: next, skip: 0 } : { skip: done });
      if (isWhole) return;
    }
    this.#hold(bytes.subarray(done));
    if (record) this.#records.push(record);
    this.state = { ...this.state, position: next, skip: 0 };
  }

  /** Saves the records of the zip's directory that are only in memory. */
  async saveRecords(): Promise<void> {
    if (this.#records.length === 0) return;
    const { fence } = this.#task;
    const last = this.state.pieces.at(-1);
    const count = last?.[0] === fence ? last[1] : 0;
    await this.#save(this.#pieceName(fence, count), Buffer.concat(this.#records));
    this.#records = [];
    const others = count > 0 ? this.state.pieces.slice(0, -1) : this.state.pieces;
    this.state = { ...this.state, pieces: [...others, [fence, count + 1]] };
  }

  /** The number of blobs with records of the zip's directory. */
  get pieces(): number {
    return this.state.pieces.reduce((sum, [, count]) => sum + count, 0);
  }

  readPiece(piece: number): Promise<Uint8Array> {
    let number = piece;
    for (const [fence, count] of this.state.pieces) {
      if (number < count) return this.#load(this.#pieceName(fence, number));
      number -= count;
    }
    throw new Error(`The zip's directory has no piece ${piece}. Request the download again.`);
  }

  /** Ends the slice. Nothing of it is read again. */
  async suspend(): Promise<Written> {
    await this.saveRecords();
    const tail = this.#heldBytes === 0 ? null : `${this.#to.blob}.tail-${this.#task.fence}`;
    if (tail !== null) await this.#save(tail, Buffer.concat(this.#held));
    return { ...this.state, tail };
  }

  /** Completes the export. */
  async complete(): Promise<void> {
    const { blob, platform } = this.#to;
    if (this.#heldBytes > 0) await this.#putPart({});
    await platform.blobs.completeUpload(blob, this.state.upload, this.state.parts);
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
  }

  async #putPart(change: Partial<Written>): Promise<void> {
    const { platform, blob, key, isEncrypted } = this.#to;
    const { upload, parts, partBytes } = this.state;
    const plain = Buffer.concat(this.#held);
    const first = (parts * partBytes) / pieceBytes;
    const stored = isEncrypted ? encryptPieces(key, blob, first, plain, platform.random) : plain;
    await platform.blobs.putPart(blob, upload, parts + 1, stored);
    await this.saveRecords();
    this.#held = [];
    this.#heldBytes = 0;
    this.state = { ...this.state, parts: parts + 1, tail: null, ...change };
    await this.#task.checkpoint({ written: this.state }, { writes: [this.#progress()] });
  }

  #progress(): RecordWrite {
    const { position, size } = this.state;
    return progressWrite(this.#to.blob, position.length / size, this.#to.platform.now());
  }

  #pieceName(fence: number, number: number): string {
    return `${this.#to.blob}.directory-${fence}-${number}`;
  }

  async #save(name: string, bytes: Uint8Array): Promise<void> {
    const { platform, key } = this.#to;
    await platform.blobs.put(name, encryptFramed(key, name, bytes, platform.random));
  }

  async #load(name: string): Promise<Uint8Array> {
    const stored = await this.#to.platform.blobs.get(name);
    const bytes = stored && decryptFramed(this.#to.key, name, stored);
    if (!bytes) throw new VaultDamage('export', `${name} is missing or altered`);
    return bytes;
  }
}
