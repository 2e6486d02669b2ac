/** The interface of a measured backup tool, and its measures. */
import type { Corpus } from './corpus.ts';
import { bytesBelow, settleDisk, type Usage } from './processes.ts';

/** The first backup of the corpus, one without changes, and one after the change. */
export const phases = ['first', 'unchanged', 'changed'] as const;
export type Phase = (typeof phases)[number];

export type Measure = Usage & {
  /** Bytes that the backup added to the repository or the blobs. */
  storedBytes: number;
  /** Bytes of the rest after the backup: a cache, a database. */
  besideBytes: number;
};

export type Round = { [phase in Phase]: Measure };

export type Contestant = {
  name: string;
  /** The settings that matter to the numbers. */
  settings: string;
  /** How to install the tool. */
  install: string;
  /** Undefined if the tool is not installed. */
  version(): Promise<string | undefined>;
  /** Runs all phases in an empty folder. The corpus is unchanged before and after. */
  round(corpus: Corpus, work: string): Promise<Round>;
};

/** Runs the three phases and measures disk growth. Syncs the disk before each. `stored` is a folder below `work`. */
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
