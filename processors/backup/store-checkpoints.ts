/**
 * Checkpoints of a batch. A checkpoint is small: it names the pieces with everything stored so far, and has the state
 * of the files that are left. Reading goes on while a checkpoint is saved.
 */
import { SourceProblem } from '../../connectors/connector.ts';
import { base32 } from '../../crypto/base32.ts';
import type { SourceEntry } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import { isHashState } from '../../vault/resumable-hash.ts';
import type { VaultWriter, WriterTotals } from '../../vault/writer.ts';
import { bytesListed, type Pieces, putPiece, storedOf } from './batch-pieces.ts';
import type { EngineWork, StoreCalls, StoreRequest } from './engine.ts';
import { type FileLeft, filesOf, type StoreOptions, type Storing, type Taken } from './store-files.ts';
import { decryptWork, encryptWork } from './work.ts';

/** Ends a reading after its last checkpoint. */
export class PausedReading extends Error {}

type Head = {
  pieces: Pieces[];
  /** The size of the files that are stored. */
  bytes: number;
  /** One bit for each entry of the batch, in hex: whether it is left to read. */
  left: string;
  /** Files that are not left as the batch lists them. */
  begun: (Omit<FileLeft, 'border'> & { border?: { offset: number; hash: string } })[];
  /** A file in hand, and how often an attempt will have died with it in hand if this one does. */
  suspect: { index: number; deaths: number } | null;
};

/** The name of the record with the checkpoint of a batch. */
export function checkpointOf(work: { where: string }): string {
  return `${work.where}-checkpoint`;
}

/** A reading asks this often whether to pause (ms). */
const askMs = 5_000;
/** A file that was in hand at this many deaths fails. */
const maxDeaths = 2;

type Tools = {
  work: EngineWork;
  request: StoreRequest;
  calls: StoreCalls;
  writer: Pick<VaultWriter, 'finish'>;
  /** Closes the open pack. */
  close(): void;
  /** Throws if vanished files may belong to another source. */
  requireSource(): Promise<void>;
};

export type Checkpoints = {
  /** Where to start. */
  start: Pick<StoreOptions, 'left' | 'hasOthers' | 'crashed'>;
  /** To call after each frame. @throws PausedReading */
  beat(storing: Storing): Promise<void>;
  /** To call before each file of a cautious reading. */
  before(file: Pick<FileLeft, 'index'>): Promise<void>;
  /** To call when the reading failed. */
  failed(error: unknown): Promise<void>;
  /** Waits for the last checkpoint. Returns all pieces. */
  end(): Promise<Pieces[]>;
};

export async function openCheckpoints(tools: Tools, entries: SourceEntry[]): Promise<Checkpoints> {
  const { work, request, calls } = tools;
  const { runRef, keys, limits } = request;
  const where = checkpointOf(request.work);
  const saving = { account: runRef.account, runId: runRef.runId, keys };
  const resumed = request.resume ? decryptWork<Head>(saving, request.resume) : undefined;
  const own: Pieces = { name: `${where}-${base32(work.random(10))}`, count: 0 };
  const left = await leftOf(entries, resumed);
  const listed = bytesListed(entries);
  const suspected = resumed?.suspect ?? null;
  const crashed = suspected && suspected.deaths >= maxDeaths ? suspected.index : -1;

  let head: Head = resumed ?? { pieces: [], bytes: 0, left: bitsOf(left), begun: [], suspect: null };
  /** The checkpoint in hand. */
  let pending: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | undefined;
  let last: Storing | undefined;
  let isNoted = false;
  let hasProgress = false;
  let savedBytes = 0;
  let savedAt = performance.now();
  let askedAt = savedAt;

  function put(next: Head, isProgress: boolean): Promise<void> {
    head = next;
    const bytesRead = next.begun.reduce((sum, { border }) => sum + (border?.offset ?? 0), next.bytes);
    // Files may have grown since they were listed.
    const bytesHandled = Math.min(bytesRead, listed);
    return calls.checkpoint({ ...encryptWork(saving, where, next), bytesRead, bytesHandled, isProgress });
  }

  async function save(storing: Storing): Promise<void> {
    await pending;
    const taken = storing.take();
    if (taken.vanished.length > 0) await tools.requireSource();
    tools.close();
    hasProgress = true;
    savedBytes = storing.bytesRead();
    savedAt = performance.now();
    pending = write(taken, tools.writer.finish());
    pending.catch((error) => {
      failure = { error };
    });
  }

  async function write(taken: Taken, durable: Promise<WriterTotals>): Promise<void> {
    const totals = await durable;
    totals.requests.blobWrite++;
    const stored = storedOf(taken, totals);
    await putPiece(work, request, `${own.name}-${own.count}`, stored, taken.fragments);
    own.count++;
    const before = head.pieces.filter(({ name }) => name !== own.name);
    const isStuck = taken.left.some(({ index, border }) => index === head.suspect?.index && !border);
    const next: Head = {
      pieces: [...before, { ...own }],
      bytes: head.bytes + stored.bytesRead,
      left: bitsOf(taken.left),
      begun: taken.left.filter(({ attempt, border }) => attempt > 1 || border).map(begunOf),
      suspect: isStuck ? head.suspect : null,
    };
    await put(next, true);
  }

  /** Notes that no file is in hand, because this attempt does not die. */
  async function unnote(): Promise<void> {
    await pending;
    if (isNoted && head.suspect) await put({ ...head, suspect: suspected }, false);
  }

  return {
    start: {
      left: left.filter(({ index }) => index !== crashed),
      hasOthers: head.pieces.length > 0,
      crashed: left.find(({ index }) => index === crashed)?.entry,
    },
    async beat(storing) {
      await work.proceed();
      if (failure) throw failure.error;
      last = storing;
      const now = performance.now();
      const isDue = storing.bytesRead() - savedBytes >= limits.checkpointBytes || now - savedAt >= limits.checkpointMs;
      if (isDue && storing.hasNews()) await save(storing);
      if (now - askedAt < Math.min(askMs, limits.checkpointMs)) return;
      askedAt = now;
      if (!(await calls.isOver())) return;
      if (storing.hasNews()) await save(storing);
      // A pause without progress would repeat itself for ever.
      else if (!hasProgress) return;
      await unnote();
      throw new PausedReading();
    },
    async before({ index }) {
      await pending;
      const deaths = suspected?.index === index ? suspected.deaths : 0;
      isNoted = true;
      await put({ ...head, suspect: { index, deaths: deaths + 1 } }, false);
    },
    async failed(error) {
      // After the end of the run its blobs are removed, and a piece must not follow.
      await pending.catch(() => {});
      const isDeath = !(error instanceof SourceProblem || error instanceof Problem);
      if (isDeath || failure) return;
      try {
        // The source may fail again and again, so what it gave is kept.
        if (error instanceof SourceProblem && error.retryable && last?.hasNews()) await save(last);
        await unnote();
      } catch {
        // The reading fails with its first error.
      }
    },
    async end() {
      await pending;
      return head.pieces;
    },
  };
}

/** The files that the checkpoint has left. A file starts again if its hash state is of another version. */
async function leftOf(entries: SourceEntry[], head: Head | undefined): Promise<FileLeft[]> {
  const all = filesOf(entries);
  if (!head) return all;
  const bits = Buffer.from(head.left, 'hex');
  const begun = new Map(head.begun.map((file) => [file.index, file]));
  const left = all.filter(({ index }) => ((bits[index >>> 3] ?? 0) & (1 << (index & 7))) !== 0);
  return Promise.all(
    left.map(async (file): Promise<FileLeft> => {
      const { border, ...rest } = begun.get(file.index) ?? file;
      const hash = border?.hash ? Buffer.from(border.hash as string, 'base64') : undefined;
      return hash && (await isHashState(hash)) ? { ...rest, border: { offset: border?.offset ?? 0, hash } } : rest;
    }),
  );
}

function bitsOf(left: FileLeft[]): string {
  const last = left.at(-1)?.index ?? -1;
  const bits = Buffer.alloc((last >> 3) + 1);
  for (const { index } of left) bits[index >>> 3] = (bits[index >>> 3] ?? 0) | (1 << (index & 7));
  return bits.toString('hex');
}

function begunOf({ border, ...rest }: FileLeft): Head['begun'][number] {
  const hash = border?.hash;
  return { ...rest, ...(hash && { border: { offset: border.offset, hash: Buffer.from(hash).toString('base64') } }) };
}
