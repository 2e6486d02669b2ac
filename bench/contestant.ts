/** What is measured of each tool, and how a tool is put to it. */
import type { Corpus } from './corpus.ts';
import { bytesBelow, settleDisk, type Usage } from './processes.ts';

/** Backing up the corpus for the first time, again as it is, and again once it has changed. */
export const phases = ['first', 'unchanged', 'changed'] as const;
export type Phase = (typeof phases)[number];

export type Measure = Usage & {
  /** What the backup added to where backups rest: the repository, the blobs. */
  storedBytes: number;
  /** What lies beside that when it has ended: a cache, a database. */
  besideBytes: number;
};

export type Round = { [phase in Phase]: Measure };

export type Contestant = {
  name: string;
  /** How it is told to work, where that matters to the numbers. */
  settings: string;
  /** Its version; undefined where it is not installed. */
  version(): Promise<string | undefined>;
  /** All phases from nothing, in an empty folder of its own. The corpus is as made, before and after. */
  round(corpus: Corpus, work: string): Promise<Round>;
};

/** The three phases in order, with what grew on the disk; every phase begins with the disk at rest. `stored` lies in `work`. */
export async function measurePhases(
  corpus: Corpus,
  folders: { work: string; stored: string },
  backup: () => Promise<Usage>,
): Promise<Round> {
  const measure = async (): Promise<Measure> => {
    await settleDisk();
    const before = await bytesBelow(folders.stored);
    const usage = await backup();
    const stored = await bytesBelow(folders.stored);
    return { ...usage, storedBytes: stored - before, besideBytes: (await bytesBelow(folders.work)) - stored };
  };
  const first = await measure();
  const unchanged = await measure();
  await corpus.change();
  try {
    return { first, unchanged, changed: await measure() };
  } finally {
    await corpus.revert();
  }
}
